"""Refuses an MP4 that is encrypted, or whose sample tables claim more than the file can hold.

A table of samples that all have one size takes twelve bytes, whatever number of samples it claims, and
FFmpeg lays out memory for each of them: a file of one kilobyte could take gigabytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pipelines.errors import InvalidMedia

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

#: Samples that one track may claim: nine hours at 240 a second. FFmpeg takes 24 bytes for each.
MAX_SAMPLES = 9 * 3600 * 240
_MAX_BOXES = 10_000
_PARENTS = {b"trak", b"mdia", b"minf", b"stbl"}


def check_sample_tables(file: BinaryIO, begin: int, end: int) -> None:
    """Look at every track of the `moov` box whose content lies between these two places.

    Raises:
        InvalidMedia: a track claims more samples than any video that is accepted has, or is encrypted.
    """
    claims: list[int] = []
    for name, at in _boxes(file, begin, end):
        file.seek(at)
        if name == b"trak":
            claims.append(0)
        elif name == b"stsd" and file.read(16)[12:] == b"encv":
            message = "the video is encrypted"
            raise InvalidMedia(message)
        elif name == b"stsz" and claims:
            _, _, claimed = struct.unpack(">III", file.read(12).ljust(12, b"\0"))
            claims[-1] += claimed
        elif name == b"stts" and claims:
            _, entries, _, duration = struct.unpack(">IIII", file.read(16).ljust(16, b"\0"))
            # Each sample of uncompressed sound lasts one tick; FFmpeg groups those by itself.
            claims[-1] -= 1 << 32 if (entries, duration) == (1, 1) else 0
    if max(claims, default=0) > MAX_SAMPLES:
        message = "the index of the file claims more frames than a video has"
        raise InvalidMedia(message)


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Yield name and content of every box, going down into those that lead to sample tables."""
    at = begin
    for _ in range(_MAX_BOXES):
        if at + 8 > end:
            return
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8).ljust(8, b"\0"))
        yield name, at + 8
        if name in _PARENTS:
            at += 8
        elif length < 8:  # noqa: PLR2004 - not a box: the demuxer will say what it thinks of it
            return
        else:
            at += length
