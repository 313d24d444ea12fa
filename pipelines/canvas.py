"""Canvases: the part of a detector's input square that a picture covers, in reused memory.

A detector that is fully convolutional need not be fed a square: a 16:9 picture in a 640 square covers
640x360, so 640x384 is fed, and a third of the work is saved. The picture lies top left, the rest is black.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Canvases of one shape that wait to be used again; more are given back to the system.
_KEPT_PER_SHAPE = 8
#: Shapes for which canvases are kept; pictures of odd shapes must not gather memory for ever.
_KEPT_SHAPES = 64


@dataclass(frozen=True, slots=True)
class Fit:
    """How a picture is laid into a canvas.

    Attributes:
        picture: width and height of the scaled picture.
        canvas: width and height of what is fed, multiples of the stride.
        scale: canvas pixels for each pixel of the upright source.
    """

    picture: tuple[int, int]
    canvas: tuple[int, int]
    scale: float


def fit(source: tuple[int, int], box: tuple[int, int], stride: int, *, square: bool = False) -> Fit:
    """Return how a picture of width and height `source` fits into `box`, its aspect kept.

    The sizes follow the SCRFD reference to the pixel: the side that does not bind is rounded down, and
    small pictures are scaled up, which finds small faces in them. `square` feeds the whole box, as others do.
    """
    width, height = source
    box_width, box_height = box
    ratio = height / width
    if ratio > box_height / box_width:
        new_width, new_height = int(box_height / ratio), box_height
    else:
        new_width, new_height = box_width, int(box_width * ratio)
    # A picture many times as wide as high would be scaled to no rows at all.
    new_width, new_height = max(1, new_width), max(1, new_height)
    canvas = box if square else (_round_up(new_width, stride), _round_up(new_height, stride))
    return Fit((new_width, new_height), canvas, new_height / height)


def _round_up(side: int, stride: int) -> int:
    return -(-side // stride) * stride


class CanvasPool:
    """Hands out canvases and takes them back, so that no memory is mapped for each picture.

    A canvas belongs to the one who took it until it is given back. Safe to share between threads: single
    operations on a deque are atomic.
    """

    def __init__(self) -> None:
        self._free: defaultdict[tuple[int, int], deque[NDArray[np.uint8]]] = defaultdict(
            lambda: deque(maxlen=_KEPT_PER_SHAPE)
        )

    def take(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return a canvas of this width and height, with anything in it."""
        try:
            return self._free[size].pop()
        except IndexError:
            return np.empty((size[1], size[0], 3), np.uint8)

    def give(self, canvas: NDArray[np.uint8]) -> None:
        """Take back a canvas that nobody reads any more."""
        if len(self._free) > _KEPT_SHAPES:
            self._free.clear()
        self._free[canvas.shape[1], canvas.shape[0]].append(canvas)


def lay(picture: NDArray[np.uint8], how: Fit, pool: CanvasPool) -> NDArray[np.uint8]:
    """Return a canvas from the pool with the picture scaled into its top left corner."""
    canvas = pool.take(how.canvas)
    width, height = how.picture
    place = canvas[:height, :width]
    if picture.shape[:2] == (height, width):
        place[:] = picture
    else:
        cv2.resize(picture, (width, height), dst=place, interpolation=cv2.INTER_LINEAR)
    canvas[height:] = 0
    canvas[:height, width:] = 0
    return canvas
