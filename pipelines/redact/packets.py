"""Packets of one chunk in a file: what an encoder gave, with exact times, until they are joined."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_HEAD = struct.Struct("<qB3xI")


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """A frame as a packet: its presentation tick, whether decoding can begin at it, and its bytes."""

    tick: int
    is_key: bool
    data: bytes


def write_frame(file: BinaryIO, frame: EncodedFrame) -> None:
    """Append a frame."""
    file.write(_HEAD.pack(frame.tick, frame.is_key, len(frame.data)))
    file.write(frame.data)


def read_frames(path: Path) -> Iterator[EncodedFrame]:
    """Yield the frames of a file, in order.

    Raises:
        ValueError: the file is cut off.
    """
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            tick, is_key, size = _HEAD.unpack(head)
            data = file.read(size)
            if len(data) != size:
                message = "a chunk's packets are cut off"
                raise ValueError(message)
            yield EncodedFrame(tick, bool(is_key), data)
