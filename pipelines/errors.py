"""What can go wrong, named by whose fault it is.

    FacefleetError
    |- CallerError              the request can never succeed as it is
    |  |- InvalidMedia          cannot be decoded, or its pixels are beyond the limits
    |  |  `- UnfitReference     a picture that nobody can be known by; says why in one word
    |  |- NoFaces               a picture without any face where one is needed
    |  |- MediaTooLarge         too many bytes
    |  |- UnsupportedMedia      a file type that is not accepted
    |  |- InvalidOption         a parameter that makes no sense
    |  `- SwitchedOff           something that the operator does not offer
    `- Unavailable              the same request may succeed later
       |- Overloaded            shed on purpose
       `- DependencyDown        something that the service needs is away

Anything else that is raised is a bug and is answered as one. Which HTTP status an error becomes is
decided in `app.errors` alone. Every error survives pickling, because it crosses process borders.
"""

from __future__ import annotations


class FacefleetError(Exception):
    """The root; its text may be shown to the caller."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CallerError(FacefleetError):
    """The request can never succeed as it is."""


class InvalidMedia(CallerError):
    """The bytes are not a picture that can be decoded, or claim more pixels than is allowed."""


class UnfitReference(InvalidMedia):
    """The picture cannot be used to know a person by; `reason` is for programs."""

    def __init__(self, message: str, reason: str = "unfit") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnfitReference], tuple[str, str]]:
        """Carry both arguments over a process border."""
        return (type(self), (self.message, self.reason))


class NoFaces(CallerError):
    """No face was found where one is needed."""


class MediaTooLarge(CallerError):
    """The file has more bytes than is allowed."""


class UnsupportedMedia(CallerError):
    """The file is of a type that is not accepted."""


class InvalidOption(CallerError):
    """A parameter makes no sense, alone or with the others."""


class SwitchedOff(CallerError):
    """The operator of this service does not offer what is asked for."""


class Unavailable(FacefleetError):
    """The same request may succeed later."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[type[Unavailable], tuple[str, int]]:
        """Carry both arguments over a process border."""
        return (type(self), (self.message, self.retry_after_s))


class Overloaded(Unavailable):
    """More work is waiting than can be done in reasonable time; this request was shed."""


class DependencyDown(Unavailable):
    """A part that the service needs does not answer."""
