"""How well a face can be used: one number 0..1 from sharpness, exposure, size, pose and the detector's score.

    quality = product of factor ** weight, every factor within 0..1

- sharpness: mean strength of edges of the aligned face, after a blur that takes most noise away
- exposure: mean brightness of the face; falls where it is dark, and where it is burnt out
- size: how many pixels wide the aligned face is in the picture, up to the crop's own width
- pose: how far the five points are from where they lie in a frontal face
- score: the detector's; it falls where a face is covered or turned away

A product makes the worst factor count, and keeps the number monotone in each of them. The weights were fitted
to what matters for recognition: the likeness that an embedding network sees between one picture of a person
and a degraded other one, for 660 degradations of 330 people (correlation 0.70). The fit alone would trust the
score and little else; the other weights have a floor, so that they count where a detector is not impressed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from pipelines.align import ARCFACE_112, FaceCrop

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The crop that sharpness and exposure are measured on; the mask network wants the same.
QUALITY_CROP: Final = FaceCrop(ARCFACE_112, (112, 112))

#: Fitted exponents, in the order of the factors above.
WEIGHTS: Final = np.array([0.3, 0.2, 0.2, 0.2, 1.0])

#: Rows and columns of the crop that are face on every head: brows to chin, cheek to cheek.
_FACE: Final = (slice(28, 108), slice(22, 90))
#: Edge strength at which sharpness is one half.
_HALF_SHARP = 1.5
#: Mean brightness from which on a face is well lit, and up to which it is not burnt out.
_LIT, _BURNT, _WHITE = 90.0, 180.0, 255.0
#: Mean distance of the points from the frontal ones, in pixels of the crop, at which pose is 1/e.
_TURNED = 9.0
#: No factor is smaller, so that a product of many zeros still says which face is worse.
_FLOOR = 1e-3


def qualities(
    crops: NDArray[np.uint8],
    matrices: NDArray[np.float64],
    points: NDArray[np.float32],
    scores: NDArray[np.float32],
) -> list[float]:
    """Return the quality of each face.

    Args:
        crops: uint8 BGR [N, 112, 112, 3], drawn for `QUALITY_CROP`.
        matrices: float64 [N, 2, 3], picture to crop.
        points: float32 [N, 5, 2] in pixels of the picture.
        scores: float32 [N], the detector's.
    """
    found = factors(crops, matrices, points, scores)
    values: list[float] = np.prod(found**WEIGHTS, axis=1).tolist()
    return values


def factors(
    crops: NDArray[np.uint8],
    matrices: NDArray[np.float64],
    points: NDArray[np.float32],
    scores: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Return the factors of each face, float64 [N, 5] within 0..1; see `qualities`."""
    looks = np.array([_sharpness_and_exposure(crop) for crop in crops]).reshape(-1, 2)
    scales = np.hypot(matrices[:, 0, 0], matrices[:, 1, 0])
    sizes = 1 / np.maximum(scales, 1)
    placed = np.nan_to_num(points).astype(np.float64) @ matrices[:, :, :2].mT + matrices[:, None, :, 2]
    apart = np.sqrt(((placed - ARCFACE_112) ** 2).sum(axis=2).mean(axis=1))
    poses = np.exp(-((apart / _TURNED) ** 2))
    together = np.column_stack([looks, sizes, poses, scores])
    return np.asarray(np.clip(np.nan_to_num(together), _FLOOR, 1), np.float64)


def brightness_of(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean brightness of each aligned face, 0..1: uint8 BGR [N, 112, 112, 3]."""
    greys = [cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)[_FACE].mean() / _WHITE for crop in crops]
    return np.array(greys, np.float64)


def _sharpness_and_exposure(crop: NDArray[np.uint8]) -> tuple[float, float]:
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    # As real numbers: rounding to bytes would draw edges of its own into a blurred face.
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.0)
    edges = float(np.abs(cv2.Laplacian(smooth, cv2.CV_32F)[_FACE]).mean())
    mean = float(grey[_FACE].mean())
    exposure = min(mean / _LIT, 1) * min((_WHITE - mean) / (_WHITE - _BURNT), 1)
    return edges / (edges + _HALF_SHARP), exposure
