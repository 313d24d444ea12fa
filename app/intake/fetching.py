"""Brings media to this machine from wherever its address says.

address -> by its scheme: web, bucket, upload, data -> scratch file -> `Fetched`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from app.intake.port import CannotFetch, Fetched
from app.intake.scratch import ScratchFile
from pipelines.errors import InvalidMedia, InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from app.intake.port import FetchLimits, Sender

_LONGEST_SCHEME = 16


class Intake:
    """The media source of this service: one sender for each scheme that is offered."""

    def __init__(self, senders: Mapping[str, Sender]) -> None:
        self._senders = dict(senders)

    def check(self, url: str, name: str = "media_url") -> None:
        """Look at an address when it is handed in, without asking anybody.

        Raises:
            InvalidOption: it can never be fetched.
        """
        try:
            self._sender(url).check(url)
        except CannotFetch as error:
            message = f"{name}: {error.reason}"
            raise InvalidOption(message) from error

    async def fetch(
        self,
        url: str,
        target: Path,
        limits: FetchLimits,
        on_progress: Callable[[int, int | None], None] = lambda _have, _total: None,
        name: str = "media_url",
    ) -> Fetched:
        """Bring what the address names into a file; see `app.intake.port.MediaSource`."""
        try:
            with anyio.fail_after(limits.total_s):
                async with ScratchFile(target, limits, on_progress) as scratch:
                    return await self._pour(url, target, scratch, limits)
        except CannotFetch as error:
            raise _unable(name, error.reason) from error
        except TimeoutError as error:
            raise _unable(name, f"it took longer than {limits.total_s:g} seconds") from error

    async def _pour(self, url: str, target: Path, scratch: ScratchFile, limits: FetchLimits) -> Fetched:
        origin = await self._sender(url).pour(url, scratch, limits)
        if not scratch.size:
            reason = "it is empty"
            raise CannotFetch(reason)
        digest = await scratch.finish()
        return Fetched(target, scratch.size, digest, origin.content_type, origin.url)

    def _sender(self, url: str) -> Sender:
        scheme, colon, _ = url[: _LONGEST_SCHEME + 1].partition(":")
        sender = self._senders.get(scheme.lower()) if colon else None
        if sender is None:
            offered = ", ".join(f"{known}:" for known in sorted(self._senders))
            reason = f"its address must begin with one of {offered}"
            raise CannotFetch(reason)
        return sender


def _unable(name: str, reason: str) -> InvalidMedia:
    return InvalidMedia(f"Unable to fetch {name}: {reason}.")
