"""Gives a rendered MP4 another edit list: which stretches of the media are played, and when."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATH = (b"moov", b"trak", b"edts", b"elst")


def with_edits(source: Path, target: Path, edits: list[tuple[int, int]]) -> Path:
    """Write the video with these edits: length in movie ticks, and start in media ticks or -1 for nothing.

    The index must stand behind the media, where FFmpeg puts it, so that no offset into the media moves.
    """
    data = bytearray(source.read_bytes())
    parents, begin, end = [], 0, len(data)
    for name in _PATH:
        at, length = next((at, length) for at, length, found in _boxes(data, begin, end) if found == name)
        parents.append(at)
        begin, end = at + 8, at + length
    old = end - parents[-1]
    entries = b"".join(struct.pack(">IiI", length, start, 1 << 16) for length, start in edits)
    new = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(edits)) + entries
    data[parents[-1] : end] = new
    for at in parents[:-1]:
        (length,) = struct.unpack_from(">I", data, at)
        struct.pack_into(">I", data, at, length + len(new) - old)
    target.write_bytes(data)
    return target


def _boxes(data: bytearray, begin: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    while begin + 8 <= end:
        length, name = struct.unpack_from(">I4s", data, begin)
        yield begin, length, name
        begin += length
