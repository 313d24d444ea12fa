"""Masks: they hide the regions, only those, whatever strength and padding are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.masking import mask_faces
from pipelines.results import MaskMethod, MaskOptions
from tests.pipelines.drawn import Pixels, noise

METHODS = list(MaskMethod)


def _masked(pixels: Pixels, box: tuple[float, float, float, float], options: MaskOptions) -> Pixels:
    result: Pixels = pixels.copy()
    assert mask_faces(result, np.array([box], np.float32), options) == 1
    return result


@pytest.mark.parametrize("method", METHODS)
def test_changes_only_the_padded_box(method: MaskMethod) -> None:
    """Outside the grown box every pixel stays, inside nearly every one changes."""
    pixels = noise(200, 150)
    after = _masked(pixels, (50, 40, 110, 100), MaskOptions(method, padding=0.1))
    inside = np.zeros((150, 200), bool)
    inside[34:106, 44:116] = True
    changed = (after != pixels).any(axis=2)
    assert not changed[~inside].any()
    assert changed[40:100, 50:110].mean() > (0.7 if method is MaskMethod.ELLIPTICAL else 0.95)


def test_solid_is_black() -> None:
    """Solid fills black."""
    after = _masked(noise(50, 50), (10, 10, 20, 20), MaskOptions(MaskMethod.SOLID, padding=0))
    assert not after[10:20, 10:20].any()


def test_pixelate_has_blocks_of_one_colour() -> None:
    """A region of two blocks a side has four colours."""
    after = _masked(noise(100, 100), (20, 20, 84, 84), MaskOptions(MaskMethod.PIXELATE, 32, 0))
    blocks = after[20:84, 20:84].reshape(2, 32, 2, 32, 3).transpose(0, 2, 1, 3, 4).reshape(4, -1, 3)
    assert (blocks == blocks[:, :1]).all()
    assert len(np.unique(blocks[:, 0], axis=0)) == 4


@pytest.mark.parametrize("side", [24, 60, 300, 1500])
@pytest.mark.parametrize("strength", [1, 32, 199, 10_000])
@pytest.mark.parametrize("method", [MaskMethod.GAUSSIAN, MaskMethod.PIXELATE])
def test_no_detail_is_left(method: MaskMethod, strength: int, side: int) -> None:
    """Whatever strength is asked for, stripes of a sixteenth of the face are gone, small face or huge."""
    bright = (np.arange(side) // max(1, side // 16)) % 2 == 1
    pixels = np.repeat(bright[None, :, None], side, axis=0).repeat(3, axis=2).astype(np.uint8) * 255
    after = _masked(pixels, (0, 0, side, side), MaskOptions(method, strength)).astype(float)
    middle = slice(side // 4, side - side // 4)
    contrast = after[:, middle][:, bright[middle]].mean() - after[:, middle][:, ~bright[middle]].mean()
    assert abs(contrast) < 15


def test_an_ellipse_leaves_the_corners() -> None:
    """The elliptical mask hides the middle and leaves the corners of the box."""
    pixels = noise(200, 200)
    after = _masked(pixels, (50, 50, 150, 150), MaskOptions(MaskMethod.ELLIPTICAL, padding=0))
    assert np.array_equal(after[50:60, 50:60], pixels[50:60, 50:60])
    assert after[90:110, 90:110].std() < 12 < pixels[90:110, 90:110].std()


def test_overlapping_faces_are_all_hidden() -> None:
    """Boxes that overlap, or are the same, are each hidden."""
    pixels = noise(100, 100)
    boxes = np.array([[10, 10, 60, 60], [30, 30, 80, 80], [30, 30, 80, 80]], np.float32)
    assert mask_faces(pixels, boxes, MaskOptions()) == 3
    assert pixels[20:70, 20:50].std() < 30


def test_nothing_to_hide() -> None:
    """Without faces the picture is as it was."""
    pixels = noise(30, 30)
    before = pixels.copy()
    assert mask_faces(pixels, np.zeros((0, 4), np.float32), MaskOptions()) == 0
    assert np.array_equal(pixels, before)


@settings(max_examples=80)
@given(
    method=st.sampled_from(METHODS),
    strength=st.integers(1, 10_000),
    padding=st.floats(0, 10),
    box=st.tuples(*[st.floats(-300, 600, width=32)] * 4),
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
)
def test_any_box_and_option_is_safe(
    method: MaskMethod,
    strength: int,
    padding: float,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
) -> None:
    """Boxes of any shape, even across the border or inside out, are masked without an error."""
    pixels = np.full((size[1], size[0], 3), 200, np.uint8)
    mask_faces(pixels, np.array([box], np.float32), MaskOptions(method, strength, padding))
    assert set(np.unique(pixels)) <= ({0, 200} if method is MaskMethod.SOLID else {199, 200})
