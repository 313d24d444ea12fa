"""Outputs of anchor-based detectors: which output is what, and where the cells of each level lie.

SCRFD and YuNet answer with rows of scores, boxes and points for each of three levels. Exports differ in
the outputs' order and names, so what each one is is read from its shape: the number of rows tells the
level, the last size tells the kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from models.errors import BadWeights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STRIDES = (8, 16, 32)
BOX_VALUES = 4
POINT_VALUES = 10
_SHAPES_KEPT = 64


@dataclass(frozen=True, slots=True)
class Level:
    """Where one level's values are among the outputs.

    Attributes:
        stride: pixels of the canvas for each cell.
        scores: positions of the outputs whose rows hold one value; YuNet has two of them.
        boxes: position of the boxes.
        points: position of the points, None where the network has none.
    """

    stride: int
    scores: tuple[int, ...]
    boxes: int
    points: int | None


def recognise_levels(
    shapes: Sequence[tuple[int, ...]], canvas_size: tuple[int, int], anchors: int, score_outputs: int
) -> tuple[Level, ...]:
    """Find out which output is what, from the outputs' shapes for one canvas.

    Args:
        shapes: of the outputs, [rows, values] or [1, rows, values].
        canvas_size: height and width of the canvas that gave these outputs.
        anchors: boxes for each cell.
        score_outputs: outputs of one value that each level has.

    Raises:
        BadWeights: these are not the outputs of such a detector.
    """
    height, width = canvas_size
    found = []
    for stride in STRIDES:
        rows = anchors * (height // stride) * (width // stride)
        kinds = {
            values: [
                position
                for position, shape in enumerate(shapes)
                if shape[-2:] == (rows, values) and shape[:-2] in ((), (1,))
            ]
            for values in (1, BOX_VALUES, POINT_VALUES)
        }
        if len(kinds[1]) != score_outputs or len(kinds[BOX_VALUES]) != 1 or len(kinds[POINT_VALUES]) > 1:
            message = (
                f"not the outputs of the expected detector: {rows} rows of scores, boxes and points are "
                f"needed for stride {stride}, but a canvas of {width}x{height} gives {list(shapes)}"
            )
            raise BadWeights(message)
        points = kinds[POINT_VALUES][0] if kinds[POINT_VALUES] else None
        found.append(Level(stride, tuple(kinds[1]), kinds[BOX_VALUES][0], points))
    if len({level.points is None for level in found}) != 1:
        message = "some levels have points and others have none"
        raise BadWeights(message)
    return tuple(found)


@lru_cache(maxsize=_SHAPES_KEPT)
def cell_corners(rows: int, columns: int, stride: int, anchors: int) -> NDArray[np.float32]:
    """Return the top left corner of each box's cell in pixels, float32 [rows * columns * anchors, 2].

    Example:
        >>> cell_corners(1, 2, 8, 1).tolist()
        [[0.0, 0.0], [8.0, 0.0]]
    """
    y, x = np.mgrid[:rows, :columns].astype(np.float32) * np.float32(stride)
    corners = np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), anchors, axis=0)
    corners.setflags(write=False)  # shared by every caller of the same shape
    return corners
