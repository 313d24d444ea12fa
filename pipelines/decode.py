"""A picture's bytes become upright pixels: uint8 BGR, whatever the format, depth or colours were.

Grey, palette, 16-bit and CMYK pictures come out as ordinary colour. Transparent pixels are laid on white, as
a browser shows them: what a transparent pixel hides stays hidden. Of an animation the first frame is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pipelines.errors import InvalidMedia

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipelines.probe import PictureHeader

_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def reduction_for(header: PictureHeader, needed: tuple[int, int]) -> int:
    """Return by how much the decoder may shrink the picture: 1, 2, 4 or 8.

    The result is the largest that leaves at least the width and height `needed` of the upright picture. Only
    JPEG can be decoded smaller for less work.
    """
    if header.format != "jpeg":
        return 1
    width, height = header.upright_size
    allowed = (by for by in (8, 4, 2) if width >= by * needed[0] and height >= by * needed[1])
    return next(allowed, 1)


def decode_picture(data: bytes, header: PictureHeader, reduction: int = 1) -> NDArray[np.uint8]:
    """Return the upright pixels [H, W, 3], smaller by `reduction`.

    Raises:
        InvalidMedia: the picture is cut off or damaged, or is not what its header claims.
    """
    try:
        pixels = _decode_heic(data) if header.format == "heic" else _decode(data, header, reduction)
    except (cv2.error, ValueError, OSError, EOFError, RuntimeError, SyntaxError) as error:
        message = "the image cannot be decoded"
        raise InvalidMedia(message) from error
    expected = (-(-header.height // reduction), -(-header.width // reduction), 3)
    if pixels is None or pixels.shape != expected:
        message = "the image is cut off, damaged, or not what its header claims"
        raise InvalidMedia(message)
    return upright(pixels, header.orientation)


def _decode(data: bytes, header: PictureHeader, reduction: int) -> NDArray[np.uint8] | None:
    flags = cv2.IMREAD_UNCHANGED if header.has_alpha else _REDUCED[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
    pixels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return None if pixels is None else on_white(pixels)


def _decode_heic(data: bytes) -> NDArray[np.uint8]:
    # Loaded for the first picture that needs it: it brings an HEVC decoder along.
    import pillow_heif  # noqa: PLC0415

    return on_white(np.asarray(pillow_heif.open_heif(data, bgr_mode=True)))


def on_white(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return pixels of 8 or 16 bits as 8-bit BGR, seen on white: grey, BGR or BGRA come in."""
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=1 / 257)
    if pixels.ndim == 2:  # noqa: PLR2004 - grey
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    if pixels.shape[2] == 3:  # noqa: PLR2004 - there is no fourth, transparent, channel
        return np.asarray(pixels, np.uint8)
    alpha = cv2.cvtColor(pixels[:, :, 3], cv2.COLOR_GRAY2BGR)
    seen = cv2.multiply(pixels[:, :, :3], alpha, scale=1 / 255)
    return np.asarray(cv2.add(seen, cv2.bitwise_not(alpha)), np.uint8)


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return the pixels turned and mirrored as EXIF orientation 1..8 asks for."""
    swapped = orientation >= 5  # noqa: PLR2004 - orientations 5..8 swap the sides
    turned = cv2.transpose(pixels) if swapped else pixels
    # Which sides are mirrored after that: 0 top and bottom, 1 left and right, -1 both.
    mirrored = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return np.asarray(turned if mirrored is None else cv2.flip(turned, mirrored), np.uint8)
