"""Faces made unrecognisable, in place: nothing of a face can be read back from what is left.

A blur or a block size that hides a small face leaves a large one plain to see, and an old photo at 8K has
faces of 3000 pixels. So both are bounded by the region: `strength` counts in pixels as asked, but the blur is
never weaker, and the blocks are never more, than what keeps a face of that size from being found or matched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipelines.boxes import grow, pixel_regions
from pipelines.results import MaskMethod

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipelines.results import MaskOptions

#: The blur's standard deviation as a share of the region's longer side: never less than the first (detectors
#: still find one face in ten at 0.25), and a kernel so large that it exceeds the second is scaled down to it.
_SIGMA_SHARES = (0.35, 0.5)
#: Blocks along the region's longer side, at most.
_MAX_BLOCKS = 4
#: A kernel of k pixels is OpenCV's Gaussian of this many times k.
_SIGMA_OF_KERNEL = 0.15
#: The blur is done on a copy so small that the standard deviation is this many pixels: it has no finer detail
#: to lose, and the time no longer depends on how strong the blur or how large the face is.
_WORK_SIGMA = 6.0
#: A region is thinned out to at most about this many pixels a side before it is averaged: of a face of 4000
#: pixels every eighth row and column tells the means as well, in a tenth of the time.
_SAMPLED_SIDE = 512
#: Rows of a region that are blended at once, which bounds the memory for a face that fills an 8K picture.
_BAND_ROWS = 128
#: Where the ellipse's soft edge begins, as a share of its radius.
_SOFT_FROM = 0.9


def mask_faces(pixels: NDArray[np.uint8], boxes: NDArray[np.float32], options: MaskOptions) -> int:
    """Hide what is in the boxes, grown by the padding, and return how many regions were hidden."""
    height, width = pixels.shape[:2]
    regions = pixel_regions(grow(boxes, options.padding), width, height)
    hide = {
        MaskMethod.GAUSSIAN: _gaussian,
        MaskMethod.PIXELATE: _pixelate,
        MaskMethod.SOLID: _solid,
        MaskMethod.ELLIPTICAL: _elliptical,
    }[options.method]
    for x1, y1, x2, y2 in regions:
        hide(pixels[y1:y2, x1:x2], options.strength)
    return len(regions)


def _solid(region: NDArray[np.uint8], _strength: int) -> None:
    region[:] = 0


def _gaussian(region: NDArray[np.uint8], strength: int) -> None:
    _spread(_blurred(region, strength), region, cv2.INTER_LINEAR)


def _pixelate(region: NDArray[np.uint8], strength: int) -> None:
    height, width = region.shape[:2]
    block = max(strength, max(width, height) / _MAX_BLOCKS)
    _spread(_means(region, 1 / block), region, cv2.INTER_NEAREST)


def _elliptical(region: NDArray[np.uint8], strength: int) -> None:
    height, width = region.shape[:2]
    blurred = np.empty_like(region)
    _spread(_blurred(region, strength), blurred, cv2.INTER_LINEAR)
    across = ((np.arange(width, dtype=np.float32) + 0.5) / (width / 2) - 1) ** 2
    down = ((np.arange(height, dtype=np.float32) + 0.5) / (height / 2) - 1) ** 2
    for top in range(0, height, _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        radius = cv2.sqrt(across[None] + down[band, None])
        hidden = np.clip((1 - radius) / (1 - _SOFT_FROM), 0, 1)
        region[band] = cv2.blendLinear(blurred[band], region[band], hidden, 1 - hidden)


def _blurred(region: NDArray[np.uint8], strength: int) -> NDArray[np.uint8]:
    longer = max(region.shape)
    # An even kernel has no middle: the next odd size is meant.
    sigma = float(np.clip((strength | 1) * _SIGMA_OF_KERNEL, *(share * longer for share in _SIGMA_SHARES)))
    shrink = min(1.0, _WORK_SIGMA / sigma)
    # The region is continued as its own mirror image: what lies around it is neither read nor smeared in.
    return np.asarray(
        cv2.GaussianBlur(
            _means(region, shrink), (0, 0), max(1.0, sigma * shrink), borderType=cv2.BORDER_REFLECT
        ),
        np.uint8,
    )


def _means(region: NDArray[np.uint8], shrink: float) -> NDArray[np.uint8]:
    """Return the region made smaller, each pixel the mean of those that it stands for."""
    height, width = region.shape[:2]
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    step = max(1, max(width, height) // _SAMPLED_SIDE)
    # A region narrower than the step would be left with too few columns to average.
    sampled = np.ascontiguousarray(region[:: min(step, height), :: min(step, width)])
    return np.asarray(cv2.resize(sampled, size, interpolation=cv2.INTER_AREA), np.uint8)


def _spread(small: NDArray[np.uint8], region: NDArray[np.uint8], interpolation: int) -> None:
    """Fill the region with the small picture."""
    height, width = region.shape[:2]
    region[:] = cv2.resize(small, (width, height), interpolation=interpolation)
