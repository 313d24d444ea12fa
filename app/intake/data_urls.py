"""`data:` URLs: small media inside of the request itself."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from app.intake.port import CannotFetch, Origin
from app.intake.scratch import BLOCK_BYTES
from pipelines.errors import MediaTooLarge

if TYPE_CHECKING:
    from app.intake.port import FetchLimits
    from app.intake.scratch import ScratchFile

LARGEST_DATA_BYTES = 5_000_000
_HEAD = re.compile(r"data:(?P<type>[^,;]{0,100})(?:;[^,;]{0,100}){0,8}?(?P<base64>;base64)?", re.IGNORECASE)
_LONGEST_HEAD = 1024
#: A base64 digit may itself be percent-encoded, and nothing grows more than that.
_MOST_TEXT_PER_BYTE = 4


class DataSender:
    """Reads `data:` URLs."""

    def __init__(self, largest_bytes: int = LARGEST_DATA_BYTES) -> None:
        self._largest_bytes = largest_bytes

    def check(self, url: str) -> None:
        """Decode it: nobody else needs to be asked."""
        read_data_url(url, self._largest_bytes)

    async def pour(self, url: str, scratch: ScratchFile, limits: FetchLimits) -> Origin:
        """Write the bytes into the scratch file."""
        del limits  # The scratch file knows them.
        data, content_type = read_data_url(url, self._largest_bytes)
        scratch.expect(len(data))
        for start in range(0, len(data), BLOCK_BYTES):
            await scratch.add(data[start : start + BLOCK_BYTES])
        return Origin("data:", content_type)


def read_data_url(url: str, largest_bytes: int = LARGEST_DATA_BYTES) -> tuple[bytes, str | None]:
    """Return the bytes and the media type that they claim to have.

    Raises:
        CannotFetch: it is not a data URL.
        MediaTooLarge: it holds more bytes than is allowed.
    """
    if len(url) > _LONGEST_HEAD + largest_bytes * _MOST_TEXT_PER_BYTE:
        raise _too_large(largest_bytes)
    comma = url.find(",", 0, _LONGEST_HEAD)
    head = _HEAD.fullmatch(url, 0, comma) if comma >= 0 else None
    if head is None or not url.isascii():
        reason = "it is not a valid data URL"
        raise CannotFetch(reason)
    data = unquote_to_bytes(url[comma + 1 :])
    if head["base64"]:
        data = _from_base64(data)
    if len(data) > largest_bytes:
        raise _too_large(largest_bytes)
    return data, head["type"] or None


def _from_base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        reason = "the base64 text of the data URL is broken"
        raise CannotFetch(reason) from None


def _too_large(largest_bytes: int) -> MediaTooLarge:
    return MediaTooLarge(f"A data URL may hold {largest_bytes} bytes.")
