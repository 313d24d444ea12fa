"""What a fetch is: its limits, what it yields, what may go wrong, and who can be asked for one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from app.intake.scratch import ScratchFile

#: Told how many bytes are here, and how many there will be where that is known.
OnProgress = "Callable[[int, int | None], None]"

MEBIBYTE = 1024 * 1024


class CannotFetch(Exception):
    """The media cannot be had; `reason` may be shown to the caller and names nothing of this network."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """When a fetch is given up.

    Attributes:
        max_bytes: largest file.
        total_s: longest time for all of it, retries included.
        stall_s: longest silence.
        slowest_bytes_per_s: a sender that is slower than this for `stall_s` counts as silent.
        tries: failed tries in a row, none of which brought anything worth keeping.
        backoff_s: the wait after the first failed try; it doubles.
        redirects: how many are followed.
        keep_free_bytes: what is to remain free on the disk, for those who share it.
    """

    max_bytes: int
    total_s: float = 1800.0
    stall_s: float = 30.0
    slowest_bytes_per_s: int = 1024
    tries: int = 5
    backoff_s: float = 0.5
    redirects: int = 5
    keep_free_bytes: int = 256 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the bytes came from in the end.

    Attributes:
        url: after redirects. It may hold a signature, so it does not show.
        content_type: what the sender says they are; nobody believes it.
    """

    url: str = field(repr=False)
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole file on this machine.

    Attributes:
        path: where it is; whoever asked for it removes it.
        size: in bytes.
        sha256: of its bytes, in hex.
        content_type: what the sender says it is.
        final_url: after redirects. It may hold a signature, so it does not show.
    """

    path: Path
    size: int
    sha256: str
    content_type: str | None
    final_url: str = field(repr=False)


class MediaSource(Protocol):
    """Brings media to this machine."""

    async def fetch(
        self,
        url: str,
        target: Path,
        limits: FetchLimits,
        on_progress: Callable[[int, int | None], None] = ...,
        name: str = ...,
    ) -> Fetched:
        """Bring what the address names into a file.

        Args:
            url: the address.
            target: the file to write; where this fails, nothing is left of it.
            limits: when to give up.
            on_progress: told how many bytes are here, and how many there will be where that is known.
            name: what the address is called in the request, for messages.

        Raises:
            InvalidMedia: it cannot be had.
            MediaTooLarge: it has too many bytes.
            DependencyDown: this machine's disk is full, or our own storage is away.
        """


class Sender(Protocol):
    """One kind of place that media is fetched from."""

    def check(self, url: str) -> None:
        """Look at the address without asking anybody.

        Raises:
            CannotFetch: it can never be fetched.
        """

    async def pour(self, url: str, scratch: ScratchFile, limits: FetchLimits) -> Origin:
        """Write what the address names into the scratch file.

        Raises:
            CannotFetch: it cannot be had.
        """
