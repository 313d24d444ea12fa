"""Regions in a frame's own planes: all of it is hidden, nothing beside it is touched."""

from __future__ import annotations

from typing import Any, cast

import av
import numpy as np
import pytest

from pipelines.decode import upright
from pipelines.redact.planes import hide_in_frame, stored_boxes
from pipelines.results import MaskMethod, MaskOptions

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuvj420p", "gray"]


def frame_of(pixel_format: str, size: tuple[int, int] = (95, 63)) -> av.VideoFrame:
    """Return a frame of noise."""
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    made = av.VideoFrame.from_ndarray(pixels, format="bgr24").reformat(format=pixel_format)
    made.make_writable()
    return made


def planes(frame: av.VideoFrame) -> list[Any]:
    """Return copies of a frame's planes."""
    found = []
    for plane, each in zip(frame.planes, frame.format.components, strict=False):
        kind = np.uint16 if each.bits > 8 else np.uint8
        rows = np.frombuffer(cast("bytes", plane), kind).reshape(plane.height, -1)
        found.append(rows[:, : plane.width].copy())
    return found


@pytest.mark.parametrize("method", MaskMethod)
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_a_region_alone_changes(pixel_format: str, method: MaskMethod) -> None:
    """In each plane the region's samples change, at the plane's own resolution, and no others do."""
    frame = frame_of(pixel_format)
    before = planes(frame)
    box = np.array([[21.0, 11.0, 61.0, 45.0]], np.float32)
    assert hide_in_frame(frame, box, 1, MaskOptions(method)) == 1
    for old, new in zip(before, planes(frame), strict=True):
        across, down = round(95 / old.shape[1]), round(63 / old.shape[0])
        inside = np.zeros(old.shape, bool)
        inside[10 // down : 46 // down, 20 // across : 62 // across] = True
        changed = old != new
        assert not changed[~inside].any()
        middle = np.s_[20 // down : 36 // down, 32 // across : 50 // across]
        assert changed[middle].mean() > 0.9
        # Of noise nothing is left but its mean: neighbours are alike.
        assert np.abs(np.diff(new[middle].astype(float), axis=1)).mean() < old.std() / 8


@pytest.mark.parametrize(
    ("pixel_format", "black"),
    [("yuv420p", (16, 128)), ("yuvj420p", (0, 128)), ("yuv420p10le", (64, 512))],
)
def test_solid_is_black(pixel_format: str, black: tuple[int, int]) -> None:
    """Black is what the frame's own range and depth call so."""
    frame = frame_of(pixel_format, (64, 48))
    hide_in_frame(frame, np.array([[0, 0, 64, 48]], np.float32), 1, MaskOptions(MaskMethod.SOLID))
    luma, *chroma = planes(frame)
    assert (luma == black[0]).all()
    assert all((plane == black[1]).all() for plane in chroma)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_lie_where_they_are_seen(orientation: int) -> None:
    """A box of the upright picture, taken to the stored one, holds the same pixels."""
    stored = np.arange(40 * 30, dtype=np.int64).reshape(30, 40)
    pixels = np.stack([stored % 251, stored // 251, stored * 0], -1).astype(np.uint8)
    shown = upright(pixels, orientation)
    box = np.array([[3, 5, 12, 19]], np.float32)
    x1, y1, x2, y2 = stored_boxes(box, orientation, (40, 30))[0].astype(int).tolist()
    seen = shown[5:19, 3:12].reshape(-1, 3)
    kept = pixels[y1:y2, x1:x2].reshape(-1, 3)
    assert sorted(map(tuple, seen.tolist())) == sorted(map(tuple, kept.tolist()))
