"""Faces made unrecognisable, in place: nothing of a face can be read back from what is left.

A blur or a block size that hides a small face leaves a large one plain to see, and an old photo at 8K has
faces of 3000 pixels. So both are bounded by the region: `strength` counts in pixels as asked, but the blur is
never weaker, and the blocks are never more, than what keeps a face of that size from being found or matched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pipelines.boxes import grow, pixel_regions
from pipelines.results import MaskMethod

if TYPE_CHECKING:
    from numpy.typing import NDArray

    #: Samples of a picture or of one of its planes, [H, W] or [H, W, C], uint8 or uint16.
    Samples = NDArray[Any]

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
    for x1, y1, x2, y2 in regions:
        hide(pixels[y1:y2, x1:x2], options.method, options.strength)
    return len(regions)


def hide(region: Samples, method: MaskMethod, strength: int, black: int = 0) -> None:
    """Hide a region in place: of any size but zero, with one or several samples a pixel, of 8 or 16 bits.

    Args:
        region: the part of a picture, or of one of its planes.
        method: how.
        strength: in pixels of the region, see above.
        black: what a solid region is filled with.
    """
    if method is MaskMethod.SOLID:
        region[:] = black
    else:
        _METHODS[method](region, strength)


def _gaussian(region: Samples, strength: int) -> None:
    _spread(_blurred(region, strength), region, cv2.INTER_LINEAR)


def _pixelate(region: Samples, strength: int) -> None:
    height, width = region.shape[:2]
    block = max(strength, max(width, height) / _MAX_BLOCKS)
    _spread(_means(region, 1 / block), region, cv2.INTER_NEAREST)


def _elliptical(region: Samples, strength: int) -> None:
    height, width = region.shape[:2]
    blurred = np.empty_like(region)
    _spread(_blurred(region, strength), blurred, cv2.INTER_LINEAR)
    across = ((np.arange(width, dtype=np.float32) + 0.5) / (width / 2) - 1) ** 2
    down = ((np.arange(height, dtype=np.float32) + 0.5) / (height / 2) - 1) ** 2
    for top in range(0, height, _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        radius = cv2.sqrt(across[None] + down[band, None])
        hidden = np.clip((1 - radius) / (1 - _SOFT_FROM), 0, 1)
        region[band] = _blended(blurred[band], region[band], hidden)


def _blurred(region: Samples, strength: int) -> Samples:
    longer = max(region.shape[:2])
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


def _means(region: Samples, shrink: float) -> Samples:
    """Return the region made smaller, each pixel the mean of those that it stands for."""
    height, width = region.shape[:2]
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    step = max(1, max(width, height) // _SAMPLED_SIDE)
    # A region narrower than the step would be left with too few columns to average.
    sampled = np.ascontiguousarray(region[:: min(step, height), :: min(step, width)])
    return np.asarray(cv2.resize(sampled, size, interpolation=cv2.INTER_AREA), region.dtype)


def _spread(small: Samples, region: Samples, interpolation: int) -> None:
    """Fill the region with the small picture."""
    height, width = region.shape[:2]
    region[:] = cv2.resize(small, (width, height), interpolation=interpolation)


def _blended(inside: Samples, outside: Samples, share: NDArray[np.float32]) -> Samples:
    if inside.dtype == np.uint8:
        return np.asarray(cv2.blendLinear(inside, outside, share, 1 - share), np.uint8)
    # OpenCV blends no samples of 16 bits.
    share = share.reshape(share.shape + (1,) * (inside.ndim - share.ndim))
    return np.asarray(np.rint(inside * share + outside * (1 - share)), inside.dtype)


_METHODS = {
    MaskMethod.GAUSSIAN: _gaussian,
    MaskMethod.PIXELATE: _pixelate,
    MaskMethod.ELLIPTICAL: _elliptical,
}
