"""Canvases: how a picture is laid into what the detector is fed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.canvas import CanvasPool, fit, lay
from tests.pipelines.drawn import noise

SIDE = st.integers(1, 8000)


@pytest.mark.parametrize(
    ("source", "picture", "canvas"),
    [
        ((1920, 1080), (640, 360), (640, 384)),
        ((1080, 1920), (360, 640), (384, 640)),
        ((1280, 886), (640, 443), (640, 448)),
        ((640, 640), (640, 640), (640, 640)),
        ((100, 100), (640, 640), (640, 640)),
        ((7680, 1), (640, 1), (640, 32)),
        ((1, 1), (640, 640), (640, 640)),
    ],
)
def test_feeds_only_what_the_picture_covers(
    source: tuple[int, int], picture: tuple[int, int], canvas: tuple[int, int]
) -> None:
    """The canvas is the rectangle of the input square that the picture covers."""
    how = fit(source, (640, 640), 32)
    assert (how.picture, how.canvas) == (picture, canvas)


def test_a_square_can_be_asked_for() -> None:
    """The whole input square is fed where a comparison needs it."""
    assert fit((1920, 1080), (640, 640), 32, square=True).canvas == (640, 640)


@given(SIDE, SIDE)
def test_fits_tightly(width: int, height: int) -> None:
    """The picture touches the box, stays inside it, and the canvas is less than one stride larger."""
    how = fit((width, height), (640, 640), 32)
    assert max(how.picture) == 640
    assert min(how.picture) >= 1
    for side, covered in zip(how.canvas, how.picture, strict=True):
        assert side % 32 == 0
        assert covered <= side < covered + 32
    assert how.scale * height == pytest.approx(how.picture[1])


@given(st.integers(1, 200), st.integers(1, 200))
def test_a_reused_canvas_holds_nothing_of_the_last_picture(width: int, height: int) -> None:
    """Everything outside the picture is black, even if the memory was used before."""
    pool = CanvasPool()
    how = fit((width, height), (64, 64), 32)
    dirty = pool.take(how.canvas)
    dirty[:] = 255
    pool.give(dirty)
    canvas = lay(noise(width, height), how, pool)
    assert canvas is dirty
    assert not canvas[how.picture[1] :].any()
    assert not canvas[:, how.picture[0] :].any()


def test_a_canvas_in_use_is_not_handed_out() -> None:
    """Two pictures at once never share memory."""
    pool = CanvasPool()
    one, other = pool.take((64, 32)), pool.take((64, 32))
    assert not np.shares_memory(one, other)
    assert one.shape == (32, 64, 3)


def test_kept_memory_is_bounded() -> None:
    """Canvases of ever new shapes do not pile up."""
    pool = CanvasPool()
    first = pool.take((32, 32))
    pool.give(first)
    for side in range(33, 133):
        pool.give(pool.take((side, 32)))
    assert pool.take((32, 32)) is not first
