"""Faces found in one picture, as a struct of arrays: the type that every stage passes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: The five points' order, everywhere. Left and right are the picture's, not the person's.
POINT_NAMES = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")


@dataclass(frozen=True, slots=True)
class Faces:
    """N faces, in pixels of the picture or canvas they were found in.

    Attributes:
        boxes: float32 [N, 4], corners x1, y1, x2, y2.
        scores: float32 [N], the detector's confidence, 0..1.
        points: float32 [N, 5, 2] in the order of `POINT_NAMES`, or None from a detector without them.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    points: NDArray[np.float32] | None

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        n = len(self.scores)
        expected: list[tuple[str, NDArray[np.float32], tuple[int, ...]]] = [
            ("boxes", self.boxes, (n, 4)),
            ("scores", self.scores, (n,)),
        ]
        if self.points is not None:
            expected.append(("points", self.points, (n, 5, 2)))
        for name, array, shape in expected:
            if array.shape != shape or array.dtype != np.float32:
                message = f"{name}: float32 {shape} expected, not {array.dtype} {array.shape}"
                raise ValueError(message)

    def __len__(self) -> int:
        """Return how many faces there are."""
        return len(self.scores)

    @classmethod
    def none(cls, *, with_points: bool) -> Faces:
        """Return zero faces."""
        points = np.zeros((0, 5, 2), np.float32) if with_points else None
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), points)

    @classmethod
    def concat(cls, parts: Sequence[Faces]) -> Faces:
        """Join the parts in order; points are kept only where every part has them."""
        points = [part.points for part in parts if part.points is not None]
        return cls(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate(points) if len(points) == len(parts) else None,
        )

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Faces:
        """Return the faces at these indices, or where this mask is true, in that order."""
        points = None if self.points is None else self.points[which]
        return Faces(self.boxes[which], self.scores[which], points)

    def scaled(self, factor: float) -> Faces:
        """Return the same faces with every coordinate multiplied by the factor."""
        scale = np.float32(factor)
        points = None if self.points is None else self.points * scale
        return Faces(self.boxes * scale, self.scores, points)
