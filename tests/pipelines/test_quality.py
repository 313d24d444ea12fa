"""Quality falls with every fault, and stays within 0..1 whatever comes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.align import ARCFACE_112
from pipelines.crops import BoxCrop, draw_crops, placements
from pipelines.quality import QUALITY_CROP, qualities
from tests.pipelines.drawn import Pixels, noise

#: A little slack: pixels are rounded to bytes.
SLACK = 0.01


def face(scale: float = 2.0) -> tuple[Pixels, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Return a picture with the edges of a face, and its five points; the crop is `scale` times as large."""
    side = round(160 * scale)
    picture = np.full((side, side, 3), 120, np.uint8)
    points = ((ARCFACE_112 + 24) * scale).astype(np.float32)
    middle = points.mean(axis=0).astype(int).tolist()
    cv2.ellipse(picture, middle, (round(45 * scale), round(58 * scale)), 0, 0, 360, (130, 160, 210), -1)
    for x, y in points.astype(int).tolist():
        cv2.circle(picture, (x, y), round(6 * scale), (30, 40, 60), -1)
        cv2.circle(picture, (x, y), round(3 * scale), (230, 230, 230), -1)
    return picture, points[None]


def quality(
    picture: Pixels, points: np.ndarray[tuple[int, ...], np.dtype[np.float32]], score: float = 0.95
) -> float:
    """Return the quality of one face."""
    matrices = placements(QUALITY_CROP, np.zeros((1, 4), np.float32), points)
    crops = draw_crops(picture, matrices, QUALITY_CROP.size)
    return qualities(crops, matrices, points, np.array([score], np.float32))[0]


def test_a_good_face_is_good() -> None:
    """Sharp, lit, large, frontal and sure is near one."""
    assert quality(*face()) > 0.8


@given(sigmas=st.tuples(st.floats(0.3, 12), st.floats(0.3, 12)))
def test_more_blur_is_never_better(sigmas: tuple[float, float]) -> None:
    """Quality falls as the blur grows."""
    picture, points = face()
    blurred = [np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8) for sigma in sorted(sigmas)]
    less, more = (quality(each, points) for each in blurred)
    assert more <= less + SLACK
    assert less <= quality(picture, points) + SLACK


@given(lights=st.tuples(st.floats(0, 0.9), st.floats(0, 0.9)))
def test_less_light_is_never_better(lights: tuple[float, float]) -> None:
    """Quality falls as the picture gets darker."""
    picture, points = face()
    darker, lighter = (quality((picture * light).astype(np.uint8), points) for light in sorted(lights))
    assert darker <= lighter + SLACK
    assert lighter <= quality(picture, points) + SLACK


@given(added=st.tuples(st.integers(60, 255), st.integers(60, 255)))
def test_burning_out_is_never_better(added: tuple[int, int]) -> None:
    """Quality falls as the face goes white."""
    picture, points = face()
    lit = [np.clip(picture.astype(int) + light, 0, 255).astype(np.uint8) for light in sorted(added)]
    less, more = (quality(each, points) for each in lit)
    assert more <= less + SLACK


@given(scales=st.tuples(st.floats(0.05, 2), st.floats(0.05, 2)))
def test_fewer_pixels_are_never_better(scales: tuple[float, float]) -> None:
    """Quality falls as the picture shrinks."""
    picture, points = face()
    values = []
    for scale in sorted(scales):
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        values.append(quality(np.asarray(small, np.uint8), points * np.float32(scale)))
    # Where a pixel falls between others costs some sharpness, so sizes that are nearly the same may swap.
    if abs(scales[0] - scales[1]) > 0.1:
        assert values[0] <= values[1] + 0.02


@given(shares=st.tuples(st.floats(0, 1), st.floats(0, 1)), side=st.sampled_from([-1, 1]))
def test_turning_is_never_better(shares: tuple[float, float], side: int) -> None:
    """Quality falls as the eyes draw together and the nose leaves the middle, as in a turning head."""
    picture, points = face()
    crops = draw_crops(picture, placements(QUALITY_CROP, np.zeros((1, 4), np.float32), points), (112, 112))
    values = []
    for share in sorted(shares):
        angle = share * np.pi / 2
        flat = points[0] - points[0].mean(axis=0)
        depth = np.array([0, 0, -40, -10, -10]) * side
        seen = np.stack([flat[:, 0] * np.cos(angle) + depth * np.sin(angle), flat[:, 1]], axis=1)
        turned = (seen + points[0].mean(axis=0)).astype(np.float32)[None]
        matrices = placements(QUALITY_CROP, np.zeros((1, 4), np.float32), turned)
        values.append(qualities(crops, matrices, turned, np.array([0.95], np.float32))[0])
    assert values[1] <= values[0] + 0.02


@given(scores=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_doubtful_face_is_never_better(scores: tuple[float, float]) -> None:
    """Quality falls with the detector's score, as it does where a face is covered."""
    picture, points = face()
    low, high = (quality(picture, points, score) for score in sorted(scores))
    assert low <= high


@given(
    points=arrays(np.float32, (1, 5, 2), elements=st.floats(-1e4, 1e4, width=32)),
    score=st.floats(0, 1),
    seed=st.integers(0, 100),
)
def test_quality_is_always_a_share(
    points: np.ndarray[tuple[int, ...], np.dtype[np.float32]], score: float, seed: int
) -> None:
    """Any points on any pixels give a number of 0..1."""
    assert 0 <= quality(noise(60, 50, seed), points, score) <= 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_points_that_are_no_numbers_are_bad_faces(value: float) -> None:
    """Even these give a number."""
    points = np.full((1, 5, 2), value, np.float32)
    assert 0 <= quality(noise(60, 50), points) < 0.5
    box = placements(BoxCrop(32, 1.0), np.zeros((1, 4), np.float32), points)
    assert np.isfinite(box).all()
