"""SCRFD: three levels, two anchors a cell; boxes as distances from the cell's corner.

Works for every size of the family, with and without points, for exports that answer with scores and for
those that answer with logits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.anchor_levels import BOX_VALUES, POINT_VALUES, Level, cell_corners, recognise_levels
from models.canvas_detector import InputScaling
from pipelines.faces import Faces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ANCHORS = 2
SCALING = InputScaling(rgb=True, mean=127.5, scale=1 / 128)


class ScrfdDecoder:
    """Turns the outputs of one picture into faces."""

    def __init__(self, levels: tuple[Level, ...], *, logits: bool) -> None:
        self._levels = levels
        self._logits = logits

    @classmethod
    def recognise(cls, outputs: Sequence[NDArray[np.float32]], canvas_size: tuple[int, int]) -> ScrfdDecoder:
        """Learn the layout of an export from what it answers to one canvas."""
        levels = recognise_levels([output.shape for output in outputs], canvas_size, ANCHORS, score_outputs=1)
        scores = [outputs[level.scores[0]] for level in levels]
        logits = any(float(score.min()) < 0 or float(score.max()) > 1 for score in scores)
        return cls(levels, logits=logits)

    @property
    def has_points(self) -> bool:
        """Tell whether the five points come with each face."""
        return self._levels[0].points is not None

    def decode(
        self, outputs: Sequence[NDArray[np.float32]], canvas_size: tuple[int, int], confidence: float
    ) -> Faces:
        """Return every face at or above the confidence, in pixels of the canvas."""
        parts = [self._decode_level(level, outputs, canvas_size, confidence) for level in self._levels]
        return Faces.concat(parts)

    def _decode_level(
        self,
        level: Level,
        outputs: Sequence[NDArray[np.float32]],
        canvas_size: tuple[int, int],
        confidence: float,
    ) -> Faces:
        scores = outputs[level.scores[0]].reshape(-1)
        found = np.flatnonzero(scores >= np.float32(_as_logit(confidence) if self._logits else confidence))
        if not len(found):
            return Faces.none(with_points=self.has_points)
        scores = scores[found]
        if self._logits:
            scores = np.reciprocal(1 + np.exp(-scores), dtype=np.float32)
        stride = np.float32(level.stride)
        height, width = canvas_size
        corners = cell_corners(height // level.stride, width // level.stride, level.stride, ANCHORS)[found]
        distances = outputs[level.boxes].reshape(-1, BOX_VALUES)[found] * stride
        boxes = np.concatenate([corners - distances[:, :2], corners + distances[:, 2:]], axis=1)
        points = None
        if level.points is not None:
            offsets = outputs[level.points].reshape(-1, POINT_VALUES)[found] * stride
            points = offsets.reshape(-1, 5, 2) + corners[:, None]
        return Faces(boxes, scores, points)


def _as_logit(confidence: float) -> float:
    """Return the logit whose sigmoid is the confidence."""
    inside = min(max(confidence, 1e-7), 1 - 1e-7)
    return float(np.log(inside / (1 - inside)))
