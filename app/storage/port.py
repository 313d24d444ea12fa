"""What the service needs of an object storage, and how objects are named.

A key is made by us, is used for one object only, and is never used again. So writing an object twice is
harmless, and a late removal cannot hit another object.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from pipelines.errors import DependencyDown

if TYPE_CHECKING:
    import uuid
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from pipelines.errors import Unavailable

LONGEST_KEY = 200
PROCESSED = "processed/"
CHUNK_BYTES = 256 * 1024

_PART = r"[a-z0-9][a-z0-9._-]*"
_KEY = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)

CONTENT_TYPES = {
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "heic": "image/heic",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
}


class ObjectMissing(LookupError):
    """There is no object of this name."""


class ObjectStore(Protocol):
    """An object storage. Each method raises `DependencyDown` where it does not answer or is full."""

    async def put(self, key: str, data: bytes) -> None:
        """Keep bytes; when this returns they are safe."""

    async def put_file(self, key: str, path: Path) -> None:
        """Keep a file's bytes; when this returns they are safe. The file stays where it is."""

    async def put_files(self, files: Sequence[tuple[str, Path]]) -> list[Unavailable | None]:
        """Keep many files' bytes, each under its key, and return what went wrong with each."""

    def get(self, key: str) -> AsyncIterator[bytes]:
        """Give the bytes in pieces; `ObjectMissing` before the first where there is no such object."""

    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is fine."""

    async def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""

    async def url(self, key: str, expires_in_s: int) -> str:
        """Return an address from which anyone who has it can load the object for this long."""

    async def ready(self) -> bool:
        """Tell whether the storage answers now."""

    async def close(self) -> None:
        """Give connections and threads back."""


def checked_key(key: str) -> str:
    """Return the key if it is one that we could have made: no way out of a folder, no surprises in a URL.

    Raises:
        ObjectMissing: it is not.
    """
    if len(key) > LONGEST_KEY or not _KEY.fullmatch(key):
        message = "not an object's name"
        raise ObjectMissing(message)
    return key


def original_key(content_hash: bytes, image_id: uuid.UUID, image_format: str) -> str:
    """Name an uploaded picture's bytes: by content first, by the upload that brought them second."""
    digest = content_hash.hex()
    return checked_key(f"originals/{digest[:2]}/{digest}-{image_id.hex}.{image_format}")


def processed_key(job_id: uuid.UUID, created_at: datetime, image_format: str) -> str:
    """Name what a job made."""
    return checked_key(f"{PROCESSED}{created_at:%Y/%m/%d}/{job_id.hex}.{image_format}")


def content_type(key: str) -> str:
    """Return the media type that an object is served as."""
    return CONTENT_TYPES.get(key.rpartition(".")[2], "application/octet-stream")


def storage_down() -> DependencyDown:
    """Say that the storage is away."""
    return DependencyDown("the object storage does not answer", 5)


def storage_full() -> DependencyDown:
    """Say that there is no room."""
    return DependencyDown("insufficient storage", 30)
