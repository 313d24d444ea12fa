"""Crops: where they lie, how they are drawn, and the way back into the picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.align import ARCFACE_112, FaceCrop
from pipelines.crops import (
    BoxCrop,
    draw_crops,
    into_picture,
    is_mirrored,
    placements,
    placements_around,
    points_of,
    scale_of,
)
from tests.pipelines.drawn import Pixels, noise, scene

Floats = NDArray[np.float32]

BOX = np.array([[100, 80, 180, 200]], np.float32)
RECIPES = (
    BoxCrop(64, 1.5),
    BoxCrop(64, 1.5, level=True),
    BoxCrop(64, 1.5, level=True, mirrored=True),
    FaceCrop(ARCFACE_112[:2], (112, 112)),
)


def turned(points: Floats, degrees: float, centre: tuple[float, float]) -> Floats:
    """Turn points clockwise, as the picture is seen."""
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return np.asarray((points - centre) @ turn + centre, np.float32)


def test_a_square_covers_its_share_of_the_box() -> None:
    """The middle of the box is the middle of the crop, and the longer side is 1/scale of it."""
    (matrix,) = placements(BoxCrop(60, 1.5), BOX, points_of(BOX))
    np.testing.assert_allclose(matrix @ (140, 140, 1), (30, 30), atol=1e-9)
    np.testing.assert_allclose(matrix @ (140, 80, 1), (30, 10), atol=1e-9)
    assert scale_of(matrix) == pytest.approx(60 / (1.5 * 120))


@given(degrees=st.floats(-170, 170))
def test_a_level_square_turns_with_the_eyes(degrees: float) -> None:
    """However the head leans, the eyes lie on one row of the crop."""
    points = turned(points_of(BOX)[0], degrees, (140, 140))[None]
    (matrix,) = placements(BoxCrop(60, 1.5, level=True), BOX, points)
    left, right = points[0, :2] @ matrix[:, :2].T + matrix[:, 2]
    assert left[1] == pytest.approx(right[1], abs=1e-3)
    assert left[0] < right[0]


def test_a_template_of_two_points_puts_the_eyes_there() -> None:
    """A template may use the first of the five points alone."""
    template = np.array([[20, 30], [44, 30]], np.float32)
    points = points_of(BOX)
    (matrix,) = placements(FaceCrop(template, (64, 64)), BOX, points)
    np.testing.assert_allclose(points[0, :2] @ matrix[:, :2].T + matrix[:, 2], template, atol=1e-3)


@given(x=st.floats(-300, 600), y=st.floats(-300, 600), side=st.floats(2, 900), degrees=st.floats(-180, 180))
def test_the_way_back_is_the_way_there(x: float, y: float, side: float, degrees: float) -> None:
    """What is found in a crop comes out where it is in the picture."""
    box = np.array([[x, y, x + side, y + side * 1.2]], np.float32)
    points = turned(points_of(box)[0], degrees, (x + side / 2, y + side / 2))[None]
    for recipe in RECIPES:
        matrices = placements(recipe, box, points)
        inside = points @ matrices[:, :, :2].mT + matrices[:, None, :, 2]
        np.testing.assert_allclose(
            into_picture(inside.astype(np.float32), matrices), points, atol=1e-3 * side + 1e-2
        )


def test_a_large_face_is_averaged_not_skipped_through() -> None:
    """A crop of noise, much smaller than it, is nearly even; picking single pixels would leave the noise."""
    picture = noise(960, 960)
    matrices = placements(BoxCrop(32, 1.0), np.array([[0, 0, 960, 960]], np.float32), points_of(BOX))
    (crop,) = draw_crops(picture, matrices, (32, 32))
    assert crop[2:-2, 2:-2].std() < 12 < picture.std()


@pytest.mark.parametrize("side", [130, 200, 403, 800])
def test_large_faces_lie_where_small_ones_do(side: int) -> None:
    """Averaging first moves nothing: a face drawn from a larger picture gives the same crop."""
    small = cv2.GaussianBlur(scene(100, 100, (30, 40, 60, 70)), (0, 0), 2)
    large = np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    crops = []
    pictures: tuple[Pixels, Pixels] = (np.asarray(small, np.uint8), large)
    for picture in pictures:
        box = np.array([[0, 0, *picture.shape[1::-1]]], np.float32) - np.float32(0.5)
        crops.append(draw_crops(picture, placements(BoxCrop(48, 1.0), box, points_of(box)), (48, 48))[0])
    difference = np.abs(crops[0].astype(int) - crops[1].astype(int))[2:-2, 2:-2]
    assert difference.mean() < 3
    assert difference.max() < 40


@pytest.mark.parametrize(
    "box",
    [
        pytest.param([-500, -500, -400, -400], id="outside"),
        pytest.param([-50, -50, 40, 40], id="over-the-edge"),
        pytest.param([50, 50, 50, 50], id="no-area"),
        pytest.param([90, 90, 10, 10], id="inside-out"),
        pytest.param([float("nan")] * 4, id="not-numbers"),
        pytest.param([0, 0, float("inf"), float("inf")], id="endless"),
        pytest.param([-1e9, -1e9, 1e9, 1e9], id="huge"),
    ],
)
@pytest.mark.parametrize("recipe", RECIPES, ids=["plain", "level", "mirrored", "template"])
def test_any_box_gives_a_crop(box: list[float], recipe: BoxCrop | FaceCrop) -> None:
    """Whatever a detector says, something of the right size is drawn."""
    boxes = np.array([box], np.float32)
    matrices = placements(recipe, boxes, points_of(boxes))
    assert np.isfinite(matrices).all()
    assert draw_crops(noise(120, 100), matrices, recipe.size).shape == (1, *recipe.size[::-1], 3)


def test_no_faces_are_no_crops() -> None:
    """Zero faces give zero crops of every kind."""
    none = np.zeros((0, 4), np.float32)
    for recipe in RECIPES:
        matrices = placements(recipe, none, points_of(none))
        assert draw_crops(noise(50, 50), matrices, recipe.size).shape == (0, *recipe.size[::-1], 3)


def test_a_square_around_points_touches_them() -> None:
    """Every point lies in a square of just their size, and the farthest two on its edges."""
    points = np.array([[[3, 9], [5, 2], [4, 4]]], np.float32)
    (matrix,) = placements_around(BoxCrop(70, 1.0), points, points_of(BOX))
    inside = points[0] @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(inside, [[25, 70], [45, 0], [35, 20]], atol=1e-4)


@given(degrees=st.floats(-180, 180))
def test_a_square_around_points_leans_with_the_face(degrees: float) -> None:
    """What is drawn around a leaning face is what is drawn around the upright one."""
    recipe = BoxCrop(60, 1.2, level=True)
    shape = np.array([[[100, 80], [180, 95], [130, 200], [170, 190]]], np.float32)
    five = points_of(BOX)
    upright, leaning = (
        places @ matrix[:, :2].T + matrix[:, 2]
        for places, matrix in (
            (shape[0], placements_around(recipe, shape, five)[0]),
            (
                turned(shape[0], degrees, (90, 60)),
                placements_around(
                    recipe,
                    turned(shape[0], degrees, (90, 60))[None],
                    turned(five[0], degrees, (90, 60))[None],
                )[0],
            ),
        )
    )
    np.testing.assert_allclose(leaning, upright, atol=1e-2)


def test_a_mirrored_crop_is_the_mirror_image() -> None:
    """Pixel for pixel the plain crop with left and right exchanged, and it can be told from one."""
    picture = np.asarray(cv2.GaussianBlur(noise(300, 300), (0, 0), 3) * 3.0 - 256, np.uint8)
    five = turned(points_of(BOX)[0], 20, (140, 140))[None]
    pair = [BoxCrop(61, 1.3, level=True, mirrored=mirrored) for mirrored in (False, True)]
    for matrices in (
        np.concatenate([placements(recipe, BOX, five) for recipe in pair]),
        np.concatenate([placements_around(recipe, five, five) for recipe in pair]),
    ):
        plain, mirrored = draw_crops(picture, matrices, (61, 61)).astype(int)
        assert np.abs(plain[:, ::-1] - mirrored).max() <= 8
        assert np.abs(plain - mirrored).mean() > 5
        assert is_mirrored(matrices).tolist() == [False, True]
