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

#: The blur's standard deviation as a share of the region's longer side: never less than the first, and the
#: second is enough for any face, so a kernel larger than the region is scaled down to it.
_SIGMA_SHARES = (0.12, 0.25)
#: Blocks along the region's longer side, at most.
_MAX_BLOCKS = 6
#: A kernel of k pixels is OpenCV's Gaussian of this many times k.
_SIGMA_OF_KERNEL = 0.15
#: Regions are blurred on a copy of about this many pixels a side: a blur so wide has no finer detail to lose,
#: and the time no longer depends on how large the face is.
_WORK_SIDE = 64
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
    region[:] = _blurred(region, strength)


def _pixelate(region: NDArray[np.uint8], strength: int) -> None:
    height, width = region.shape[:2]
    block = max(strength, max(width, height) / _MAX_BLOCKS)
    blocks = (max(1, round(width / block)), max(1, round(height / block)))
    means = cv2.resize(region, blocks, interpolation=cv2.INTER_AREA)
    cv2.resize(means, (width, height), dst=region, interpolation=cv2.INTER_NEAREST)


def _elliptical(region: NDArray[np.uint8], strength: int) -> None:
    height, width = region.shape[:2]
    across = (np.arange(width, dtype=np.float32) + 0.5) / (width / 2) - 1
    down = (np.arange(height, dtype=np.float32) + 0.5) / (height / 2) - 1
    radius = np.sqrt(across[None] ** 2 + down[:, None] ** 2)
    hidden = np.clip((1 - radius) / (1 - _SOFT_FROM), 0, 1).astype(np.float32)
    cv2.blendLinear(_blurred(region, strength), region.copy(), hidden, 1 - hidden, dst=region)


def _blurred(region: NDArray[np.uint8], strength: int) -> NDArray[np.uint8]:
    height, width = region.shape[:2]
    longer = max(width, height)
    # An even kernel has no middle: the next odd size is meant.
    sigma = float(np.clip((strength | 1) * _SIGMA_OF_KERNEL, *(share * longer for share in _SIGMA_SHARES)))
    shrink = min(1.0, _WORK_SIDE / longer)
    small_size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = cv2.resize(region, small_size, interpolation=cv2.INTER_AREA)
    # The region's own edge is continued outwards: what lies around it is neither read nor smeared in.
    small = cv2.GaussianBlur(small, (0, 0), sigma * shrink, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
