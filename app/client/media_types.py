"""What a file is, by its name; the service looks at the bytes."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from app.client.task_calls import MediaType

_KINDS: dict[str, MediaType] = {
    **dict.fromkeys((".mp4", ".mov", ".mkv", ".webm", ".m4v"), "video"),
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".heic"), "image"),
    **dict.fromkeys((".gif", ".apng"), "gif"),
}


def media_type_of(source: str) -> MediaType | None:
    """Return what a path or an address names; None where its ending does not tell."""
    if source.startswith("s3://"):
        path = source  # all that follows the bucket is the object's name, ? and # as well
    else:
        path = urlsplit(source).path if "://" in source else source.replace("\\", "/")
    return _KINDS.get(PurePosixPath(path).suffix.lower())
