"""Faces are followed through crossings, gaps and jitter, and where chunks are cut makes no difference."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.video.assignment import assign
from pipelines.video.tracking import Tracker, TrackerState
from tests.pipelines.video.moving_faces import FACES, share_followed, tracks_of, world


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10**6))
def test_pairs_at_the_least_cost(rows: int, columns: int, seed: int) -> None:
    """The pairs cost as little as the best of all ways to pair."""
    costs = np.random.default_rng(seed).random((rows, columns))
    wide = costs if rows <= columns else costs.T
    orders = itertools.permutations(range(wide.shape[1]), wide.shape[0])
    best = min(sum(wide[row, column] for row, column in enumerate(order)) for order in orders)
    pairs = assign(costs, 9.0)
    assert len(pairs) == min(rows, columns)
    assert sum(costs[pair] for pair in pairs) == pytest.approx(best)


def test_leaves_alone_what_is_too_dear() -> None:
    """A pair that costs as much as staying alone is not made."""
    assert assign(np.array([[1.0, 5.0], [5.0, 5.0]]), 5.0) == [(0, 0)]


@pytest.mark.parametrize(
    ("kind", "rate", "least"),
    [
        ("still", 1, 1.0),
        ("still", 30, 1.0),
        ("moving", 2, 0.95),
        ("moving", 10, 0.97),
        ("crossing", 2, 0.95),
        ("crossing", 10, 0.97),
        ("hidden", 5, 0.95),
        ("hidden", 10, 0.95),
        ("leaving", 5, 0.93),
        ("jittering", 5, 0.97),
        ("missed", 5, 0.97),
        ("missed", 10, 0.97),
    ],
)
def test_follows_faces(kind: str, rate: float, least: float) -> None:
    """The share of sightings on the right track, over six worlds, is as recorded or better."""
    shares = []
    for seed in range(6):
        frames = world(kind, rate, seed)
        shares.append(share_followed(frames, tracks_of(frames, rate)))
    assert np.mean(shares) >= least


def test_counts_people_not_sightings() -> None:
    """Six faces that sit still are six tracks, with the times of their first and last sighting."""
    frames = world("still", 2, 0)
    tracker = Tracker(2)
    for time, _, boxes in frames:
        tracker.step(time, boxes)
    spans = tracker.finish()
    assert [span.number for span in spans] == list(range(1, FACES + 1))
    assert {(span.appears_at, span.disappears_at) for span in spans} == {(0.0, frames[-1][0])}


@settings(max_examples=40)
@given(
    st.sampled_from(["moving", "crossing", "hidden", "leaving", "missed"]),
    st.sampled_from([1, 2, 5]),
    st.integers(0, 100),
    st.sets(st.integers(0, 100), max_size=20),
)
def test_cuts_make_no_difference(kind: str, rate: int, seed: int, cuts: set[int]) -> None:
    """One chunk or twenty, with the state stored as JSON in between, give the same tracks."""
    frames = world(kind, rate, seed)
    whole = Tracker(rate)
    expected = [whole.step(time, boxes) for time, _, boxes in frames]
    expected_end = whole.finish()
    parts = Tracker(rate)
    found = []
    for index, (time, _, boxes) in enumerate(frames):
        if index in cuts:
            stored = json.dumps(parts.state.to_json())
            parts = Tracker(rate, TrackerState.from_json(json.loads(stored)))
        found.append(parts.step(time, boxes))
    assert found == expected
    assert parts.finish() == expected_end


def test_a_face_that_returns_late_is_a_new_track() -> None:
    """After the time for which it is waited, its track has ended at the last sighting."""
    tracker = Tracker(2)
    box = [[100.0, 100.0, 200.0, 200.0]]
    assert tracker.step(0.0, box) == ([1], [])
    assert tracker.step(0.5, box) == ([1], [])
    numbers, ended = tracker.step(10.0, box)
    assert numbers == [2]
    assert [(span.number, span.appears_at, span.disappears_at) for span in ended] == [(1, 0.0, 0.5)]


def test_looks_tell_apart_what_motion_cannot() -> None:
    """Two faces that change places between samples keep their tracks where embeddings are given."""
    left, right = [100.0, 100.0, 200.0, 200.0], [230.0, 100.0, 330.0, 200.0]
    looks = np.eye(2, 4, dtype=np.float32)
    tracker = Tracker(2)
    assert tracker.step(0.0, [left, right], looks)[0] == [1, 2]
    assert tracker.step(0.5, [left, right], looks[::-1])[0] == [2, 1]
