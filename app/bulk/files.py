"""Files that are whole or not there: written beside their place, safe on disk, then moved."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNFINISHED = ".part"


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Give a stream; the file is there once the block has ended well."""
    unfinished = path.with_name(path.name + UNFINISHED)
    with unfinished.open("wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)


def settle(path: Path) -> None:
    """Put a file that a library wrote beside its place there, safe on disk."""
    unfinished = path.with_name(path.name + UNFINISHED)
    with unfinished.open("rb") as stream:
        os.fsync(stream.fileno())
    unfinished.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
