"""How a video's picture is turned when it is shown, as an EXIF orientation: one language for all pixels."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame

#: Signs of the matrix (a, b, c, d), which takes a pixel at x, y to (ax + cy, bx + dy), y down.
_ORIENTATIONS = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
_MATRIX_BYTES = 36


def frame_orientation(frame: VideoFrame) -> int:
    """Return the EXIF orientation that a frame's display matrix asks for; 1 where there is none.

    Only quarter turns and mirrorings are known to players; a matrix that is neither counts as the nearest.
    """
    # The container is a mapping from positions to items, and its stubs call it one from names.
    for item in cast("Iterable[SideData]", frame.side_data):
        if str(item.type).endswith("DISPLAYMATRIX"):
            return matrix_orientation(bytes(item))
    return 1


def matrix_orientation(matrix: bytes) -> int:
    """Return the EXIF orientation of a display matrix of nine 16.16 numbers in the machine's order."""
    if len(matrix) < _MATRIX_BYTES:
        return 1
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix[:_MATRIX_BYTES])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        b, c = 0, 0
    else:
        a, d = 0, 0
    return _ORIENTATIONS.get((_sign(a), _sign(b), _sign(c), _sign(d)), 1)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
