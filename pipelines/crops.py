"""The part of a picture that a network looks at: where it lies for each face, and drawing it.

    box + five points -> a recipe -> matrices, picture to crop -> drawn crops

A recipe is either a `FaceCrop`, which puts the points where a template has them, or a `BoxCrop`, a square
around the box. Matrices carry what a network found in its crop back into the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from pipelines.align import FaceCrop, similarities

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Where the five points lie in an ordinary detector's box, as shares of its sides.
_POINTS_IN_BOX: Final = np.array(
    [[0.31, 0.40], [0.69, 0.40], [0.50, 0.58], [0.35, 0.76], [0.65, 0.76]], np.float32
)
#: Sides under this, in pixels, are taken to be as long as this.
_SHORTEST_SIDE = 1.0
#: Coordinates beyond this are no part of any picture that is taken.
_FAR = 1e5


@dataclass(frozen=True, slots=True)
class BoxCrop:
    """A square around the box.

    Attributes:
        side: width and height of the crop.
        scale: how many of the box's longer sides the square is wide.
        level: turn the square so that the eyes lie on one row.
    """

    side: int
    scale: float
    level: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the crop."""
        return (self.side, self.side)


CropRecipe = FaceCrop | BoxCrop


def points_of(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return where the five points lie in a box of an ordinary upright face, [N, 5, 2].

    For detectors that give none, and good enough for every network here on upright faces.
    """
    sides = boxes[:, None, 2:] - boxes[:, None, :2]
    return np.asarray(boxes[:, None, :2] + _POINTS_IN_BOX * sides, np.float32)


def placements(
    recipe: CropRecipe, boxes: NDArray[np.float32], points: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return where each face's crop lies, float64 [N, 2, 3], picture to crop.

    Args:
        recipe: what the network wants; a template may use the first of the five points alone.
        boxes: [N, 4] in pixels of the picture.
        points: [N, 5, 2] in pixels of the picture.
    """
    boxes, points = _tame(boxes), _tame(points)
    if isinstance(recipe, FaceCrop):
        return similarities(points[:, : len(recipe.template)], recipe.template)
    low, high = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)
    longest = np.maximum((high - low).max(axis=1, initial=0), _SHORTEST_SIDE)
    factor = (recipe.side / (recipe.scale * longest)).astype(np.complex128)
    if recipe.level:
        factor = factor * np.exp(-1j * _eye_line(points))
    shift = recipe.side / 2 * (1 + 1j) - factor * ((low + high) / 2 @ (1, 1j))
    rows = [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    return np.moveaxis(np.array(rows), -1, 0)


def draw_crops(
    picture: NDArray[np.uint8],
    matrices: NDArray[np.float64],
    size: tuple[int, int],
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Draw each crop; black where the picture ends.

    A face that is more than twice as large as its crop is shrunk by averaging first. Otherwise most of its
    pixels would be skipped, and what a network says of a large face would depend on which ones.

    Args:
        picture: uint8 [H, W, 3]; the colour order stays as it is.
        matrices: float64 [N, 2, 3], picture to crop.
        size: width and height of the crop.
        out: a buffer to draw into, uint8 [at least N, height, width, 3]; a new one where None.

    Returns:
        uint8 [N, height, width, 3], the first N rows of `out`.
    """
    width, height = size
    crops = np.empty((len(matrices), height, width, 3), np.uint8) if out is None else out[: len(matrices)]
    for matrix, crop in zip(matrices, crops, strict=True):
        shrink = int(1 / max(scale_of(matrix), 1e-9))
        if shrink < 2:  # noqa: PLR2004 - under twice as large, no pixel is skipped
            cv2.warpAffine(picture, matrix, size, dst=crop)
        else:
            _draw_shrunk(picture, matrix, crop, shrink)
    return crops


def scale_of(matrix: NDArray[np.float64]) -> float:
    """Return how many pixels of the crop one pixel of the picture is wide."""
    return math.hypot(matrix[0, 0], matrix[1, 0])


def into_picture(found: NDArray[np.float32], matrices: NDArray[np.float64]) -> NDArray[np.float32]:
    """Carry points found in crops back into the picture.

    Args:
        found: [N, P, 2] in pixels of the crops.
        matrices: float64 [N, 2, 3], picture to crop.
    """
    return np.asarray((found - matrices[:, None, :, 2]) @ np.linalg.inv(matrices[:, :, :2]).mT, np.float32)


def box_around(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the smallest box around each face's points: [N, P, 2] to [N, 4]."""
    return np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)


def _draw_shrunk(
    picture: NDArray[np.uint8], matrix: NDArray[np.float64], crop: NDArray[np.uint8], shrink: int
) -> None:
    """Draw one crop from an averaged copy of the part of the picture that it shows."""
    height, width = crop.shape[:2]
    corners = np.array([[[0, 0], [width, 0], [0, height], [width, height]]], np.float32)
    seen = into_picture(corners, matrix[None])[0]
    limits = np.array(picture.shape[1::-1])
    low = np.clip(np.floor(seen.min(axis=0)) - 1, 0, limits).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0)) + 2, 0, limits).astype(int)
    if (high <= low).any():
        crop[:] = 0
        return
    sides = np.maximum((high - low) // shrink, 1)
    small = cv2.resize(
        picture[low[1] : high[1], low[0] : high[0]],
        (int(sides[0]), int(sides[1])),
        interpolation=cv2.INTER_AREA,
    )
    # A pixel of the small copy stands for `by` pixels; its middle is where theirs is.
    by = (high - low) / sides
    linear = matrix[:, :2] * by
    shift = matrix[:, 2] + matrix[:, :2] @ (low + (by - 1) / 2)
    cv2.warpAffine(small, np.column_stack([linear, shift]), (width, height), dst=crop)


def _eye_line(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return by how much the line from the left eye to the right one is turned, clockwise, in radians."""
    across = (points[:, 1] - points[:, 0]).astype(np.float64)
    return np.arctan2(across[:, 1], across[:, 0])


def _tame(places: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return coordinates that can be computed with: none beyond reach, none that is not a number."""
    return np.clip(np.nan_to_num(places, nan=0, posinf=_FAR, neginf=-_FAR), -_FAR, _FAR)
