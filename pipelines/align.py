"""From the five points of a face to an upright crop of one size, the form most networks want.

A template says where the five points lie in the crop. The best similarity (turn, scale, shift, no
mirroring) in the least-squares sense carries a face's points onto it, and the picture is resampled
through that. All faces are solved at once; each is then drawn into its own row of one array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Where the five points lie in the 112 x 112 crop that ArcFace and most face networks were trained on.
ARCFACE_112: Final[NDArray[np.float32]] = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    np.float32,
)

#: Under this the points coincide and carry no direction, in squared pixels.
_NO_SPREAD = 1e-6


@dataclass(frozen=True, slots=True)
class FaceCrop:
    """The crop that a network looks at.

    Attributes:
        template: float32 [P, 2], where the first P of the five points lie in the crop.
        size: width and height of the crop.
    """

    template: NDArray[np.float32]
    size: tuple[int, int]


def similarities(points: NDArray[np.float32], template: NDArray[np.float32]) -> NDArray[np.float64]:
    """Solve for the similarity that carries each face's points onto the template.

    Args:
        points: [N, P, 2] in pixels of the picture.
        template: [P, 2] in pixels of the crop.

    Returns:
        float64 [N, 2, 3], picture to crop. Points that coincide or are not finite carry no direction:
        their face gets an unturned, unscaled crop around their centre.
    """
    finite = np.isfinite(points).all(axis=(1, 2), keepdims=True)
    # As complex numbers a turn with a scale is one factor, so least squares is a single division.
    source = np.where(finite, points, 0).astype(np.float64) @ (1, 1j)
    target = template.astype(np.float64) @ (1, 1j)
    source_centre, target_centre = source.mean(axis=1), target.mean()
    offsets = source - source_centre[:, None]
    spread = (np.abs(offsets) ** 2).sum(axis=1)
    products = (offsets.conj() * (target - target_centre)).sum(axis=1)
    factor = np.divide(products, spread, out=np.ones(len(points), np.complex128), where=spread > _NO_SPREAD)
    shift = target_centre - factor * source_centre
    rows = [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    return np.moveaxis(np.array(rows), -1, 0)


def align(
    picture: NDArray[np.uint8],
    points: NDArray[np.float32],
    template: NDArray[np.float32] = ARCFACE_112,
    size: tuple[int, int] = (112, 112),
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Draw each face of the picture upright into a crop of its own; black where the picture ends.

    Args:
        picture: uint8 [H, W, 3]; the colour order stays as it is.
        points: float32 [N, 5, 2] in the order of `pipelines.faces.POINT_NAMES`.
        template: float32 [5, 2], where the points shall lie in the crop.
        size: width and height of the crop.
        out: a buffer to draw into, uint8 [at least N, height, width, 3]; a new one where None.

    Returns:
        uint8 [N, height, width, 3], the first N rows of `out`.
    """
    width, height = size
    crops = np.empty((len(points), height, width, 3), np.uint8) if out is None else out[: len(points)]
    for matrix, crop in zip(similarities(points, template), crops, strict=True):
        cv2.warpAffine(
            picture,
            matrix,
            size,
            dst=crop,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
        )
    return crops
