"""The record beside each installed file: what it was made from, and what it must hash to."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one installed file.

    Attributes:
        source: where its bytes came from, as text.
        source_sha256: hash of what the source gave, before the converter.
        converter: `name/revision` of the converter that made the file, None for a copy.
        sha256: hash of the installed file.
        size: its bytes.
        mtime_ns: its modification time when the hash was last seen to be right.
    """

    source: str
    source_sha256: str
    converter: str | None
    sha256: str
    size: int
    mtime_ns: int


def record_path(file: Path) -> Path:
    """Return where the record of an installed file is."""
    return file.with_name(f"{file.name}.json")


def read_record(file: Path) -> Record | None:
    """Read the record of a file; None where there is none or it makes no sense."""
    try:
        return Record(**json.loads(record_path(file).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_record(file: Path, record: Record) -> None:
    """Write the record of a file."""
    with replacing(record_path(file)) as stream:
        stream.write(json.dumps(asdict(record), indent=1).encode())


def sha256_of(file: Path) -> str:
    """Hash a file without holding it in memory."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the target's place on success and vanishes on any failure."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(target)
        _sync_folder(target.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
