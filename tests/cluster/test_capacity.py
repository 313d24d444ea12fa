"""Sizing: more load never needs less, and the arithmetic is that of the measured figures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.capacity import CHUNK_CORES, MEASURED, Load, Machines, plan

LOADS = st.builds(
    Load,
    cameras=st.integers(0, 5000),
    camera_pictures_per_s=st.floats(0.01, 30),
    faces_per_picture=st.floats(0, 20),
    recognises=st.booleans(),
    keeps=st.booleans(),
    videos_per_day=st.integers(0, 1_000_000),
    video_minutes=st.floats(0.1, 240),
    people=st.integers(0, 10_000_000),
)


def test_a_load_by_hand() -> None:
    """78 pictures a second that are only looked for faces keep one core busy."""
    load = Load(cameras=785, camera_pictures_per_s=0.1, recognises=False, keeps=False, peak=1.0)
    made = plan(load, Machines(cores=8, busy=0.5))
    assert made.picture_cores == pytest.approx(1.0, rel=0.01)
    assert made.ingress_replicas == 2
    assert made.task_replicas == 1
    assert made.machines == 2


def test_videos_by_hand() -> None:
    """A day's videos take the cores that their length over the measured speed comes to."""
    minutes = MEASURED.video_speed * 24 * 60 * 10  # ten cores for a day
    made = plan(Load(videos_per_day=100, video_minutes=minutes / 100, peak=1.0), Machines(busy=1.0))
    assert made.video_cores == pytest.approx(10)
    assert made.task_replicas == 3


@given(LOADS)
def test_machines_hold_what_is_planned(load: Load) -> None:
    """All replicas have their cores, also when the spare machine is lost."""
    machines = Machines()
    made = plan(load, machines)
    cores = made.ingress_replicas + made.task_replicas * CHUNK_CORES
    assert cores <= (made.machines - machines.spare) * machines.cores
    assert made.picture_cores <= made.ingress_replicas * machines.busy + 1e-9


@given(LOADS)
def test_more_load_never_needs_less(load: Load) -> None:
    """Twice the cameras, videos and people need at least as much of everything."""
    more = replace(
        load, cameras=load.cameras * 2, videos_per_day=load.videos_per_day * 2, people=load.people * 2
    )
    one, two = plan(load), plan(more)
    assert two.machines >= one.machines
    assert two.ingress_replicas >= one.ingress_replicas
    assert two.library_gb >= one.library_gb
