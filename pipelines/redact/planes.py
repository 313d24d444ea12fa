"""Hides regions in a decoded frame's own planes: what is not hidden stays as it was, bit for bit.

No pixel goes through RGB: neither range nor space nor depth of the colours changes, and brightness and
colour are each hidden at their own resolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pipelines.boxes import pixel_regions
from pipelines.masking import hide

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

    from pipelines.results import MaskOptions

_FULL_RANGE = 2
_BYTE = 8


def hide_in_frame(
    frame: VideoFrame, boxes: NDArray[np.float32], orientation: int, options: MaskOptions
) -> int:
    """Hide boxes in a writable frame of planes, and return how many.

    Args:
        frame: planar YUV or grey, of 8 to 16 bits.
        boxes: corners in pixels of the upright picture, padded already.
        orientation: how the stored picture is turned when shown, as an EXIF orientation.
        options: how to hide.
    """
    width, height = frame.width, frame.height
    regions = pixel_regions(stored_boxes(boxes, orientation, (width, height)), width, height)
    components = [each for each in frame.format.components if not each.is_alpha]
    # Regions begin and end with whole samples of colour, so that no colour of a face is left at their rim.
    across = max(round(width / max(1, each.width)) for each in components)
    down = max(round(height / max(1, each.height)) for each in components)
    regions = [
        (x1 // across * across, y1 // down * down, -(-x2 // across) * across, -(-y2 // down) * down)
        for x1, y1, x2, y2 in regions
    ]
    is_full = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
    for each in components:
        samples = _samples(frame, each.plane, each.bits)
        x_step, y_step = round(width / each.width), round(height / each.height)
        is_luma = each.is_luma or len(components) == 1
        black = (0 if is_full else 16) if is_luma else 128
        for x1, y1, x2, y2 in regions:
            part = samples[y1 // y_step : -(-y2 // y_step), x1 // x_step : -(-x2 // x_step)]
            hide(part, options.method, max(1, options.strength // x_step), black << (each.bits - _BYTE))
    return len(regions)


def _samples(frame: VideoFrame, plane: int, bits: int) -> NDArray[Any]:
    """Return a plane's samples without the padding of its rows; writing to them writes to the frame."""
    held = frame.planes[plane]
    kind = np.dtype(np.uint8 if bits == _BYTE else np.uint16)
    # A plane is a buffer, which its stubs do not know.
    rows = np.frombuffer(cast("bytes", held), kind).reshape(held.height, held.line_size // kind.itemsize)
    return cast("NDArray[Any]", rows[:, : held.width])


def stored_boxes(boxes: NDArray[np.float32], orientation: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return boxes of the upright picture as they lie in the stored one, which has this size."""
    width, height = size
    x1, y1, x2, y2 = boxes.T
    # The upright picture's axes as the stored one's: which is which, and which runs backwards.
    left, right = (width - x2, width - x1)
    top, bottom = (height - y2, height - y1)
    back_y = (width - y2, width - y1)
    back_x = (height - x2, height - x1)
    turned = {
        1: (x1, y1, x2, y2),
        2: (left, y1, right, y2),
        3: (left, top, right, bottom),
        4: (x1, top, x2, bottom),
        5: (y1, x1, y2, x2),
        6: (y1, back_x[0], y2, back_x[1]),
        7: (back_y[0], back_x[0], back_y[1], back_x[1]),
        8: (back_y[0], x1, back_y[1], x2),
    }[orientation]
    return np.stack(turned, axis=1).astype(np.float32)
