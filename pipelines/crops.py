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
        mirrored: draw it with left and right exchanged.
    """

    side: int
    scale: float
    level: bool = False
    mirrored: bool = False

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
    turns = _eye_line(points) if recipe.level else np.zeros(len(boxes))
    corners = boxes.reshape(-1, 2, 2).astype(np.float64)
    return _squares(recipe, corners.mean(axis=1), np.ptp(corners, axis=1).max(axis=1, initial=0), turns)


def placements_around(
    recipe: BoxCrop, shapes: NDArray[np.float32], points: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return where crops around many points of each face lie, float64 [N, 2, 3], picture to crop.

    A level square is fitted to the points as they lie once they are turned. The upright box of a leaning face
    would be wider and lie elsewhere, and what is told of the face would change with its lean.

    Args:
        recipe: what the network wants.
        shapes: [N, P, 2 or more] in pixels of the picture.
        points: [N, 5, 2], the five points.
    """
    shapes, points = _tame(shapes[:, :, :2]), _tame(points)
    turns = _eye_line(points) if recipe.level else np.zeros(len(shapes))
    there = _rotations(-turns)
    level = shapes @ there.mT
    low, high = level.min(axis=1), level.max(axis=1)
    middles = ((low + high) / 2)[:, None] @ there
    return _squares(recipe, middles[:, 0], (high - low).max(axis=1, initial=0), turns)


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


def is_mirrored(matrices: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which crops show left and right exchanged."""
    return np.asarray(np.linalg.det(matrices[:, :, :2]) < 0)


def into_picture(found: NDArray[np.float32], matrices: NDArray[np.float64]) -> NDArray[np.float32]:
    """Carry points found in crops back into the picture.

    Args:
        found: [N, P, 2] in pixels of the crops.
        matrices: float64 [N, 2, 3], picture to crop.
    """
    return np.asarray((found - matrices[:, None, :, 2]) @ np.linalg.inv(matrices[:, :, :2]).mT, np.float32)


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


def _squares(
    recipe: BoxCrop, middles: NDArray[np.float64], longest: NDArray[np.float64], turns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the matrices of squares around these middles, turned clockwise by these angles."""
    scales = recipe.side / (recipe.scale * np.maximum(longest, _SHORTEST_SIDE))
    linear = _rotations(-turns) * scales[:, None, None]
    shifts = recipe.side / 2 - (linear @ middles[:, :, None])[:, :, 0]
    if recipe.mirrored:
        linear[:, 0] *= -1
        shifts[:, 0] = recipe.side - 1 - shifts[:, 0]
    return np.concatenate([linear, shifts[:, :, None]], axis=2)


def _rotations(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrices that turn points clockwise by these angles, [N, 2, 2]."""
    cos, sin = np.cos(angles), np.sin(angles)
    return np.moveaxis(np.array([[cos, -sin], [sin, cos]]), -1, 0)


def _eye_line(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return by how much the line from the left eye to the right one is turned, clockwise, in radians."""
    across = (points[:, 1] - points[:, 0]).astype(np.float64)
    return np.arctan2(across[:, 1], across[:, 0])


def _tame(places: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return coordinates that can be computed with: none beyond reach, none that is not a number."""
    return np.clip(np.nan_to_num(places, nan=0, posinf=_FAR, neginf=-_FAR), -_FAR, _FAR)
