"""Head poses of a mean head that is turned: signs, sizes, and what does not matter."""

from __future__ import annotations

import json
import math
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.bench.turned_faces import rotation
from pipelines.head_pose import PITCH_GAIN, head_poses

if TYPE_CHECKING:
    from numpy.typing import NDArray

ANGLES = st.floats(-40, 40)


def turned_head(yaw: float, pitch: float, roll: float) -> NDArray[np.float32]:
    """Return the mesh of the mean head after a rotation; vertices that do not count stay at zero."""
    table = json.loads(resources.files("pipelines").joinpath("head_shape.json").read_text("utf-8"))
    mesh = np.zeros((1, 468, 3), np.float32)
    vertices = np.array(list(table["vertices"].values()))
    mesh[0, [int(index) for index in table["vertices"]]] = vertices @ rotation(yaw, pitch, roll).T * 50
    return mesh


@given(yaw=ANGLES, pitch=st.floats(-30, 30), roll=ANGLES)
def test_turning_the_head_turns_the_pose(yaw: float, pitch: float, roll: float) -> None:
    """Yaw and roll come out as they went in, pitch by its gain; a turn by one does not leak into another."""
    (pose,) = head_poses(turned_head(yaw, pitch, roll))
    assert pose.yaw == pytest.approx(yaw, abs=0.1)
    assert pose.roll == pytest.approx(roll, abs=0.1)
    assert pose.pitch == pytest.approx(PITCH_GAIN * pitch, abs=0.2)


def test_signs_are_those_of_the_picture() -> None:
    """Positive yaw moves the nose right, pitch moves it up, roll moves the chin left; y points down."""
    nose, chin = (0, 0, -1), (0, 1, 0)
    assert (rotation(25, 0, 0) @ nose)[0] > 0.4
    assert head_poses(turned_head(25, 0, 0))[0].yaw > 20
    assert (rotation(0, 25, 0) @ nose)[1] < -0.4
    assert head_poses(turned_head(0, 25, 0))[0].pitch > 20
    assert (rotation(0, 0, 25) @ chin)[0] < -0.4
    assert head_poses(turned_head(0, 0, 25))[0].roll > 20


@given(scale=st.floats(0.01, 100), x=st.floats(-1000, 1000), y=st.floats(-1000, 1000))
def test_place_and_size_do_not_matter(scale: float, x: float, y: float) -> None:
    """A head has its pose wherever it is in the picture."""
    mesh = turned_head(20, -10, 5)
    other = (mesh * np.float32(scale)).astype(np.float32)
    other[..., :2] += (x, y)
    (one,), (two,) = head_poses(mesh), head_poses(other)
    assert (two.yaw, two.pitch, two.roll) == pytest.approx((one.yaw, one.pitch, one.roll), abs=1.0)


@given(yaw=ANGLES, pitch=st.floats(-30, 30), roll=ANGLES)
def test_a_mirrored_head_looks_the_other_way(yaw: float, pitch: float, roll: float) -> None:
    """Mirroring turns yaw and roll around and leaves pitch."""
    (one,), (two,) = head_poses(turned_head(yaw, pitch, roll)), head_poses(turned_head(-yaw, pitch, -roll))
    assert (two.yaw, two.pitch, two.roll) == pytest.approx((-one.yaw, one.pitch, -one.roll), abs=0.1)


@given(seed=st.integers(0, 10_000))
def test_any_mesh_gives_angles_in_range(seed: int) -> None:
    """Points that are no head at all, or all the same, still give numbers of degrees."""
    random = np.random.default_rng(seed)
    meshes = random.normal(0, 50, (3, 468, 3)).astype(np.float32)
    meshes[0] = 3.0
    for pose in head_poses(meshes):
        assert all(math.isfinite(angle) for angle in (pose.yaw, pose.pitch, pose.roll))
        assert abs(pose.pitch) <= 90
        assert max(abs(pose.yaw), abs(pose.roll)) <= 180


def test_no_heads_have_no_poses() -> None:
    """Zero meshes give zero poses."""
    assert head_poses(np.zeros((0, 468, 3), np.float32)) == []
