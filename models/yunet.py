"""YuNet: three levels, one anchor a cell; the score is the geometric mean of class and objectness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.anchor_levels import BOX_VALUES, POINT_VALUES, Level, cell_corners, recognise_levels
from models.canvas_detector import InputScaling
from models.errors import BadWeights
from pipelines.faces import Faces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ANCHORS = 1
SCALING = InputScaling(rgb=False)


class YunetDecoder:
    """Turns the outputs of one picture into faces."""

    def __init__(self, levels: tuple[Level, ...]) -> None:
        if any(level.points is None for level in levels):
            message = "YuNet answers with points; this network has none"
            raise BadWeights(message)
        self._levels = levels

    @classmethod
    def recognise(cls, outputs: Sequence[NDArray[np.float32]], canvas_size: tuple[int, int]) -> YunetDecoder:
        """Learn the layout of an export from what it answers to one canvas."""
        shapes = [output.shape for output in outputs]
        return cls(recognise_levels(shapes, canvas_size, ANCHORS, score_outputs=2))

    @property
    def has_points(self) -> bool:
        """Tell whether the five points come with each face: always."""
        return True

    def decode(
        self, outputs: Sequence[NDArray[np.float32]], canvas_size: tuple[int, int], confidence: float
    ) -> Faces:
        """Return every face at or above the confidence, in pixels of the canvas."""
        return Faces.concat(
            [_decode_level(level, outputs, canvas_size, confidence) for level in self._levels]
        )


def _decode_level(
    level: Level, outputs: Sequence[NDArray[np.float32]], canvas_size: tuple[int, int], confidence: float
) -> Faces:
    # Which of the two is the class and which the objectness does not matter: they are multiplied.
    first, second = (outputs[position].reshape(-1) for position in level.scores)
    scores = np.sqrt(first.clip(0, 1) * second.clip(0, 1))
    found = np.flatnonzero(scores >= np.float32(confidence))
    if not len(found):
        return Faces.none(with_points=True)
    stride = np.float32(level.stride)
    height, width = canvas_size
    corners = cell_corners(height // level.stride, width // level.stride, level.stride, ANCHORS)[found]
    values = outputs[level.boxes].reshape(-1, BOX_VALUES)[found]
    centres = corners + values[:, :2] * stride
    halves = np.exp(values[:, 2:]) * (stride / 2)
    offsets = outputs[level.points or 0].reshape(-1, POINT_VALUES)[found] * stride
    return Faces(
        np.concatenate([centres - halves, centres + halves], axis=1),
        scores[found],
        offsets.reshape(-1, 5, 2) + corners[:, None],
    )
