"""Files in parts: which bytes go where. Pure but for reading the file; the clients send."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.client.errors import ClientError, UnreadableAnswer

if TYPE_CHECKING:
    from app.client.task_results import Upload


class FileChanged(ClientError):
    """The file is not the one that its upload was begun with."""


@dataclass(frozen=True, slots=True)
class Sent:
    """How far an upload is, in bytes."""

    sent: int
    total: int


OnSent = Callable[[Sent], None]
OnBegun = Callable[["Upload"], None]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file and where it goes."""

    number: int
    url: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to be sent, as it was when this was made."""

    path: Path
    size: int
    changed_ns: int

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> LocalFile:
        """Look at a file."""
        place = Path(path)
        facts = place.stat()
        return cls(place, facts.st_size, facts.st_mtime_ns)

    def read(self, part: Part) -> bytes:
        """Return a part's bytes.

        Raises:
            FileChanged: the file has changed meanwhile.
        """
        with self.path.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            stream.seek(part.offset)
            data = stream.read(part.size)
        if (facts.st_size, facts.st_mtime_ns) != (self.size, self.changed_ns) or len(data) != part.size:
            message = f"{self.path} changed while it was sent"
            raise FileChanged(message)
        return data


def missing_parts(upload: Upload, size: int) -> list[Part]:
    """Return what is still to be sent of a file of this size.

    Raises:
        FileChanged: the upload is for a file of another size.
    """
    if upload.size is not None and upload.size != size:
        message = f"the upload {upload.upload_id} is for a file of {upload.size} bytes, this one has {size}"
        raise FileChanged(message)
    if upload.status == "complete":
        return []
    parts = upload.parts
    if parts is None:
        message = "the service does not say where the parts go"
        raise UnreadableAnswer(message)
    every = range(1, len(parts.urls) + 1)
    wanted = every if parts.missing is None else parts.missing
    return [
        Part(number, parts.urls[number - 1], offset, min(parts.size, size - offset))
        for number in wanted
        for offset in [(number - 1) * parts.size]
    ]
