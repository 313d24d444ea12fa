"""Pixels become a file again: JPEG, PNG or WebP, with nothing of the original's metadata.

Only pixels come in here, already upright, so there is no place, camera or thumbnail to leave out. There is no
transparency in the output: it was laid on white when the picture was decoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from pipelines.results import ImageFormat

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipelines.results import EncodeOptions


def encode_picture(pixels: NDArray[np.uint8], options: EncodeOptions) -> bytes:
    """Return the upright BGR pixels as a file; `quality` 1..100 means nothing to PNG, which is lossless."""
    suffix, parameters = _encoder(options)
    _done, encoded = cv2.imencode(suffix, pixels, parameters)
    return bytes(encoded.data)


def _encoder(options: EncodeOptions) -> tuple[str, list[int]]:
    if options.format is ImageFormat.JPEG:
        return ".jpg", [cv2.IMWRITE_JPEG_QUALITY, options.quality]
    if options.format is ImageFormat.WEBP:
        # OpenCV takes a quality above 100 as lossless; 100 itself is the best lossy one.
        return ".webp", [cv2.IMWRITE_WEBP_QUALITY, options.quality]
    # Level 1 is about three times as fast as the usual 6, for files that are a few per cent larger.
    return ".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]
