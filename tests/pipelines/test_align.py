"""Crops from five points: exact on known turns, least squares on the rest, harmless on nonsense."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.align import ARCFACE_112, align, similarities

TURNS = st.floats(-180, 180)
SCALES = st.floats(0.05, 20)
SHIFTS = st.floats(-4000, 4000)


def moved(points: np.ndarray, degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    """Turn, scale and shift points."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(scale * points @ turn.T + shift, np.float32)


def carried(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a 2 x 3 matrix to points."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


@given(TURNS, SCALES, SHIFTS, SHIFTS)
def test_turned_scaled_and_shifted_points_come_back_to_the_template(
    degrees: float, scale: float, right: float, down: float
) -> None:
    """Points that are a similarity of the template are carried onto it exactly."""
    points = moved(ARCFACE_112, degrees, scale, (right, down))
    (matrix,) = similarities(points[None], ARCFACE_112)
    # float32 points far from the origin carry less than a thousandth of their place.
    tolerance = 1e-3 + 2e-3 * max(abs(right), abs(down)) / 1000 / scale
    np.testing.assert_allclose(carried(matrix, points), ARCFACE_112, atol=tolerance)


def test_least_squares_agrees_with_umeyama_by_singular_values() -> None:
    """On points that fit no similarity, the answer is Umeyama's, which this computes another way."""
    points = ARCFACE_112 * 2.3 + np.random.default_rng(5).normal(0, 9, (5, 2)).astype(np.float32)
    source, target = points - points.mean(axis=0), ARCFACE_112 - ARCFACE_112.mean(axis=0)
    left, strengths, right = np.linalg.svd(target.T @ source)
    scale = strengths.sum() / (source**2).sum()
    (matrix,) = similarities(points[None], ARCFACE_112)
    np.testing.assert_allclose(matrix[:, :2], scale * left @ right, rtol=1e-5)
    np.testing.assert_allclose(carried(matrix, points).mean(axis=0), ARCFACE_112.mean(axis=0), rtol=1e-5)


def test_mirrored_points_are_not_mirrored_back() -> None:
    """A similarity keeps left and right: its determinant is positive even for points in mirrored order."""
    mirrored = ARCFACE_112 * np.array([-1, 1], np.float32) + np.array([112, 0], np.float32)
    (matrix,) = similarities(mirrored[None], ARCFACE_112)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_many_faces_are_solved_as_each_alone() -> None:
    """Solving all faces at once gives what solving them one by one gives."""
    rng = np.random.default_rng(1)
    points = (ARCFACE_112 + rng.normal(0, 5, (7, 5, 2))).astype(np.float32)
    alone = np.concatenate([similarities(face[None], ARCFACE_112) for face in points])
    np.testing.assert_allclose(similarities(points, ARCFACE_112), alone, rtol=1e-12)


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(np.full((5, 2), 30, np.float32), id="coinciding"),
        pytest.param(np.full((5, 2), np.nan, np.float32), id="nan"),
        pytest.param(np.full((5, 2), np.inf, np.float32), id="infinite"),
        pytest.param(ARCFACE_112 + 1e6, id="far outside"),
        pytest.param(ARCFACE_112 * 1e-4, id="tiny"),
    ],
)
def test_nonsense_points_give_a_crop_and_no_error(points: np.ndarray) -> None:
    """Whatever a detector says, each face gets a finite transform and a crop of the right size."""
    picture = np.full((60, 80, 3), 200, np.uint8)
    assert np.isfinite(similarities(points[None], ARCFACE_112)).all()
    assert align(picture, points[None]).shape == (1, 112, 112, 3)


def test_a_turned_picture_gives_the_same_crop() -> None:
    """A face upside down at twice the size is drawn as the upright one."""
    rng = np.random.default_rng(2)
    upright = cv2.GaussianBlur(rng.integers(0, 256, (112, 112, 3), np.uint8), (0, 0), 4)
    points = moved(ARCFACE_112, 137, 2.0, (410, 250))
    back = cv2.invertAffineTransform(similarities(points[None], ARCFACE_112)[0])
    turned = cv2.warpAffine(upright, back, (500, 500))
    (crop,) = align(np.asarray(turned, np.uint8), points[None])
    inside = np.abs(crop.astype(int) - upright.astype(int))[8:-8, 8:-8]
    assert inside.mean() < 2


def test_crops_are_drawn_into_the_buffer_that_is_given() -> None:
    """A reused buffer is filled from its first row on and the rest of it stays as it was."""
    picture = np.full((200, 200, 3), 90, np.uint8)
    buffer = np.full((3, 112, 112, 3), 7, np.uint8)
    crops = align(picture, np.stack([ARCFACE_112 + 40, ARCFACE_112 + 30]), out=buffer)
    assert np.shares_memory(crops, buffer)
    assert (buffer[:2] == 90).all()
    assert (buffer[2] == 7).all()


def test_no_faces_give_no_crops() -> None:
    """A picture without faces gives an empty array of the right shape."""
    crops = align(np.zeros((9, 9, 3), np.uint8), np.zeros((0, 5, 2), np.float32))
    assert crops.shape == (0, 112, 112, 3)


def test_outside_the_picture_is_black() -> None:
    """Where a face hangs over the edge, the crop is black and the rest is the picture."""
    picture = np.full((112, 112, 3), 255, np.uint8)
    (crop,) = align(picture, (ARCFACE_112 - np.array([56, 0], np.float32))[None])
    assert (crop[:, :54] == 0).all()
    assert (crop[:, 58:] == 255).all()
