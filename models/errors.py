"""What can go wrong with weights; each error's text says what to do about it.

DependencyDown
|- WeightsMissing        not installed, or what is installed is not what the manifest asks for
`- SourceFailed          no source gave the file
   `- WrongBytes         a source gave other bytes than the manifest names
FacefleetError
|- LicenceNotAccepted    the weights may not be used commercially, and nobody said that is fine
`- BadWeights            the bytes are the right ones but cannot be made into a network
InvalidOption
`- UnknownNetwork        no such name in the manifest
"""

from __future__ import annotations

from pipelines.errors import DependencyDown, FacefleetError, InvalidOption


class WeightsMissing(DependencyDown):
    """The weights are not installed, or are not what the manifest asks for."""


class StorageFailed(DependencyDown):
    """The folder of the weights cannot be written."""


class SourceFailed(DependencyDown):
    """No source gave the file."""


class WrongBytes(SourceFailed):
    """A source gave other bytes than the manifest names; they were deleted."""


class LicenceNotAccepted(FacefleetError):
    """The weights are for non-commercial use only and that was not accepted."""


class BadWeights(FacefleetError):
    """The file is not a network that can be read or converted."""


class UnknownNetwork(InvalidOption):
    """The manifest has no network or pack of that name."""
