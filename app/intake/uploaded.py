"""Reads `upload://ID`: media that the caller has uploaded to this service before."""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from app.intake.port import CannotFetch, Origin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from app.intake.port import FetchLimits
    from app.intake.scratch import ScratchFile

_UPLOAD = re.compile(r"upload://([A-Za-z0-9_-]{1,100})/?", re.ASCII)


class OpenUpload(Protocol):
    """Finds what was uploaded. Whoever makes one binds it to the key that asks: uploads are private."""

    def __call__(self, upload_id: str) -> AsyncGenerator[bytes, None]:
        """Give the bytes in pieces; `LookupError` before the first where there is no such upload."""


class UploadSender:
    """Copies what was uploaded."""

    def __init__(self, open_upload: OpenUpload) -> None:
        self._open_upload = open_upload

    def check(self, url: str) -> None:
        """Look at the address without asking anybody."""
        _read(url)

    async def pour(self, url: str, scratch: ScratchFile, limits: FetchLimits) -> Origin:
        """Write the upload into the scratch file."""
        del limits  # The scratch file knows them.
        try:
            async with aclosing(self._open_upload(_read(url))) as pieces:
                async for piece in pieces:
                    await scratch.add(piece)
        except LookupError as error:
            reason = "there is no such upload"
            raise CannotFetch(reason) from error
        return Origin(url)


def _read(url: str) -> str:
    found = _UPLOAD.fullmatch(url)
    if found is None:
        reason = "it names no upload"
        raise CannotFetch(reason)
    return found[1]
