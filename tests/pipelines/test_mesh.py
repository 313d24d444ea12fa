"""The 106 points: complete, mirrored as a face is, and moved as the mesh is."""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.mesh import partners, to_five_points, to_landmarks
from tests.landmarks106 import MIRRORED

#: Points of the layout and their partners on the other half of a symmetric face, and points on its middle.
PAIRS = (
    (1, 17),
    (16, 32),
    (9, 25),
    (8, 24),
    (35, 93),
    (39, 89),
    (52, 61),
    (43, 101),
    (72, 72),
    (0, 0),
)


def head() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return a mesh with its own place for every vertex, symmetric where the mean head says so."""
    table = json.loads(resources.files("pipelines").joinpath("mesh106.json").read_text("utf-8"))
    mesh = np.random.default_rng(0).uniform(0, 100, (1, 468, 3)).astype(np.float32)
    left, right = (jaw["polyline"] for jaw in table["jaw"])
    for index, (one, other) in enumerate(zip(left, right, strict=True)):
        mesh[0, one, :2] = (20 + 2.5 * index, 10 + 6 * index)
        mesh[0, other, :2] = (80 - 2.5 * index, 10 + 6 * index)
    # Eyes, mouth and brows: outer, inner and outermost ones.
    for one, other in ((33, 263), (133, 362), (61, 291), (70, 300), (46, 276)):
        mesh[0, one, :2], mesh[0, other, :2] = (30, 40 + one % 7), (70, 40 + one % 7)
    for one, other in ((70, 300), (46, 276)):
        mesh[0, other, :2] = (100 - mesh[0, one, 0], mesh[0, one, 1])
    mesh[0, [168, 17, 152], 0] = 50
    return mesh


def test_every_point_is_made_of_the_mesh() -> None:
    """No point is left out: each moves when the mesh does."""
    mesh = head()
    moved = to_landmarks(mesh + np.float32(7)) - to_landmarks(mesh)
    assert to_landmarks(mesh).shape == (1, 106, 2)
    np.testing.assert_allclose(moved, 7, atol=1e-3)


def test_a_symmetric_face_has_symmetric_points() -> None:
    """What lies on one half has its partner on the other; the chin and the nose lie on the middle."""
    found = to_landmarks(head())[0]
    for one, other in PAIRS:
        np.testing.assert_allclose(found[one] + (found[other] * (1, -1)), (100, 0), atol=1e-3)


def test_partners_are_each_others() -> None:
    """Who is the partner of one's partner is oneself; eyes, mouth, brows and cheeks are as they should be."""
    pairs = partners()
    assert (pairs[pairs] == np.arange(468)).all()
    for one, other in (
        (33, 263),
        (133, 362),
        (61, 291),
        (70, 300),
        (159, 386),
        (234, 454),
        (4, 4),
        (152, 152),
    ):
        assert pairs[one] == other


def test_partners_lie_on_the_other_half_of_the_mean_head() -> None:
    """The mean head, which is symmetric, is its own mirror image under them."""
    table = json.loads(resources.files("pipelines").joinpath("head_shape.json").read_text("utf-8"))
    head_shape = {int(index): place for index, place in table["vertices"].items()}
    pairs = partners()
    for index, (x, y, z) in head_shape.items():
        np.testing.assert_allclose(head_shape[int(pairs[index])], (-x, y, z), atol=2e-4)


def test_points_of_a_mirrored_mesh_are_mirrored_points() -> None:
    """Any face, mirrored and with its halves exchanged, has the mirror image of its 106 points."""
    mesh = head()
    other = (mesh * np.array([-1, 1, 1], np.float32))[:, partners()]
    np.testing.assert_allclose(to_landmarks(other)[0, MIRRORED], to_landmarks(mesh)[0] * (-1, 1), atol=1e-3)
    five = to_five_points(other)[0, [1, 0, 2, 4, 3]]
    np.testing.assert_allclose(five, to_five_points(mesh)[0] * (-1, 1), atol=1e-3)


@given(degrees=st.floats(-180, 180), scale=st.floats(0.1, 10), x=st.floats(-500, 500))
def test_points_turn_with_the_face(degrees: float, scale: float, x: float) -> None:
    """Turning, scaling and moving the mesh does the same to its points."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    mesh = head()
    other = mesh.copy()
    other[..., :2] = mesh[..., :2] @ turn.T + (x, 3)
    for points in (to_landmarks, to_five_points):
        np.testing.assert_allclose(points(other), points(mesh) @ turn.T + (x, 3), atol=2e-2 * max(1, scale))


def test_jaw_points_are_equally_spaced() -> None:
    """From temple to chin the outline's points are one step apart."""
    found = to_landmarks(head())[0]
    line = found[[1, 9, 10, 11, 12, 13, 14, 15, 16, 2, 3, 4, 5, 6, 7, 8, 0]]
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=1e-3)


def test_a_mesh_without_extent_gives_points_all_the_same() -> None:
    """Vertices that coincide divide nothing by zero."""
    assert np.isfinite(to_landmarks(np.full((2, 468, 3), 5, np.float32))).all()
    assert to_landmarks(np.zeros((0, 468, 3), np.float32)).shape == (0, 106, 2)
