"""From found faces to hidden regions: what was found, or stood between two findings, is never left plain."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.redact.cover import TURN_S, CoverOptions, FoundFrame, Sighting, cover, cuts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipelines.redact.cover import Coverage

    Seen = Mapping[int, Sequence[tuple[tuple[float, float, float, float], float]]]

Box = tuple[float, float, float, float]
RATE = 30.0


def frames(seen: Seen, count: int, every: int = 1) -> list[FoundFrame]:
    """Return every so many-th frame, and the last one; some show faces."""
    return [
        FoundFrame(index, tuple(Sighting(box, score) for box, score in seen.get(index, ())))
        for index in sorted({*range(0, count, every), count - 1})
    ]


def covered(seen: Seen, count: int, every: int = 1) -> Coverage:
    """Return what is hidden at thirty frames a second."""
    times = [index / RATE for index in range(count)]
    return cover(frames(seen, count, every), times, CoverOptions(0.5, 0, count - 1))


def hides(coverage: Coverage, index: int, box: Box) -> bool:
    """Tell whether one region of a frame holds all of a box."""
    return any(
        region.box[0] <= box[0] + 1e-6
        and region.box[1] <= box[1] + 1e-6
        and region.box[2] >= box[2] - 1e-6
        and region.box[3] >= box[3] - 1e-6
        for region in coverage.regions.get(index, ())
    )


def around(x: float, y: float, side: float = 60) -> Box:
    """Return a square box."""
    return (x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def test_a_face_of_frames_10_and_14_is_hidden_from_8_to_16() -> None:
    """Missed frames between are bridged, and two before and after are hidden as well."""
    box, moved = around(200, 200), around(216, 204)
    found = covered({10: [(box, 0.9)], 14: [(moved, 0.9)]}, 30)
    assert sorted(found.regions) == list(range(8, 17))
    for index in range(10, 15):
        part = (index - 10) / 4
        between = tuple(one + (two - one) * part for one, two in zip(box, moved, strict=True))
        assert hides(found, index, between)  # type: ignore[arg-type] # four numbers
    assert hides(found, 8, box)
    assert hides(found, 16, moved)
    assert found.spans() == [(1, 8, 16)]


def test_a_face_that_is_away_for_long_is_not_bridged() -> None:
    """Two seconds are a face that left and another that came: what stood there meanwhile is to be seen."""
    box = around(200, 200)
    found = covered({10: [(box, 0.9)], 70: [(box, 0.9)]}, 90)
    assert sorted(found.regions) == [*range(8, 13), *range(68, 73)]


def test_a_face_that_turned_away_is_hidden_meanwhile() -> None:
    """Who is seen again after a second and a half, near by, was there; who is seen elsewhere had gone."""
    near = covered({10: [(around(200, 200), 0.9)], 55: [(around(240, 200), 0.9)]}, 60)
    assert sorted(near.regions) == list(range(8, 58))
    assert all(hides(near, index, around(200 + (index - 10) * 40 / 45, 200)) for index in range(10, 56))
    far = covered({10: [(around(200, 200), 0.9)], 55: [(around(290, 200), 0.9)]}, 60)
    assert sorted(far.regions) == [*range(8, 13), *range(53, 58)]


def test_faint_sightings_count_where_the_track_is_sure() -> None:
    """A face that is sure once is hidden where it is faint, too; one that never is sure is not."""
    near, far = around(200, 200), around(700, 200)
    seen = {index: [(near, 0.35), (far, 0.35)] for index in range(10, 20)}
    seen[15] = [(near, 0.8), (far, 0.49)]
    found = covered(seen, 40)
    assert all(hides(found, index, near) for index in range(10, 20))
    assert not any(hides(found, index, far) for index in range(40))


def test_every_third_frame_is_enough() -> None:
    """Where only every third frame is looked at, all in between are hidden, and as many before and after."""
    boxes = {index: around(100 + 4 * index, 150) for index in range(60)}
    seen = {index: [(boxes[index], 0.9)] for index in range(15, 46, 3)}
    found = covered(seen, 60, every=3)
    assert all(hides(found, index, boxes[index]) for index in range(13, 48))
    assert sorted(found.regions) == list(range(11, 50))


def test_the_rims_of_what_is_hidden_do_not_tremble() -> None:
    """Regions change far less from frame to frame than a detector's boxes do."""
    rng = np.random.default_rng(3)
    places = rng.normal(300, 4, (90, 2)).tolist()
    boxes = [around(x, y, float(rng.normal(60, 4))) for x, y in places]
    found = covered({index: [(box, 0.9)] for index, box in enumerate(boxes)}, 90)
    regions = np.array([found.regions[index][0].box for index in range(90)])
    assert np.abs(np.diff(regions, axis=0)).mean() < 0.35 * np.abs(np.diff(np.array(boxes), axis=0)).mean()
    assert (regions[:, 2] - regions[:, 0]).mean() < 90


@pytest.mark.parametrize("every", [1, 2, 5])
def test_known_faces_are_never_seen(every: int) -> None:
    """Moving, leaving, returning, missed faces: none is uncovered that is seen twice a second."""
    rng = np.random.default_rng(every)
    count = 300
    truth: dict[int, list[Box]] = {index: [] for index in range(count)}
    seen: dict[int, list[tuple[Box, float]]] = {index: [] for index in range(count)}
    for face in range(5):
        away = {*range(100, 160)} if face == 2 else set()
        last_seen, phase = -99, rng.uniform(0, 6)
        for index in range(count):
            if index in away:
                last_seen = -99
                continue
            at = index / RATE
            box = around(
                200 + 300 * face + 120 * math.sin(at * 1.4 + phase),
                300 + 60 * math.cos(at + phase),
                70 + 8 * face,
            )
            truth[index].append(box)
            is_first = index - every < 0 or index - every in away
            is_last = index + every >= count or index + every in away
            must = is_first or is_last or index - last_seen + every > RATE / 2
            is_looked_at = index % every == 0 or index == count - 1
            if is_looked_at and (must or rng.random() < 0.3):
                last_seen = index
                x1, y1, x2, y2 = (np.array(box) + rng.normal(0, 1.0, 4)).tolist()
                seen[index].append(((x1, y1, x2, y2), float(rng.uniform(0.4, 0.95))))
    found = covered(seen, count, every)
    exposed = [
        (index, box)
        for index, boxes in truth.items()
        for box in boxes
        if not hides(found, index, _inner(box))
    ]
    assert not exposed


def _inner(box: Box) -> Box:
    """Return what is left of a box without a hair's breadth at each rim, which a detector may miss."""
    rim = 0.03 * (box[2] - box[0])
    return box[0] + rim, box[1] + rim, box[2] - rim, box[3] - rim


def fast(seed: int, count: int) -> list[Box]:
    """Return a way on which a face moves by up to three times its size a frame, and bends."""
    rng = np.random.default_rng(seed)
    rounds, begins = rng.uniform(1.4, 2.2, 3), rng.uniform(0, 6, 3)
    ways = np.sin(np.outer(np.arange(count) / 160 * 2 * np.pi, rounds) + begins)
    return [around(960 + 1100 * x, 500 + 300 * y, 45 + 10 * z) for x, y, z in ways.tolist()]


@pytest.mark.parametrize("seed", range(12))
def test_fast_faces_are_never_seen(seed: int) -> None:
    """Of a face that leaps further than its own width each frame, missed and faint sightings are hidden."""
    rng, count = np.random.default_rng(seed), 160
    truth = fast(seed, count)
    seen: dict[int, list[tuple[Box, float]]] = {}
    missed = 0
    for index, box in enumerate(truth):
        missed = 0 if missed == 2 or index in {0, 1, count - 1} or rng.random() < 0.6 else missed + 1
        if not missed:
            shaken = tuple((np.array(box) + rng.normal(0, 1.0, 4)).tolist())
            score = 0.35 if rng.random() < 0.2 else 0.8
            seen[index] = [(shaken, score)]
    assert max(abs(two[0] - one[0]) / 45 for one, two in pairwise(truth)) > 1
    found = covered(seen, count)
    exposed = [index for index, box in enumerate(truth) if not hides(found, index, _middle(box))]
    assert not exposed


def test_a_fast_face_is_hidden_where_it_leaves() -> None:
    """After the last sighting of a face in a bend, what is hidden goes on as fast, and wide enough."""
    truth = [around(1600 - 150 * at, 680 - 6 * at * at, 40) for at in range(8)]
    found = covered({index: [(truth[index], 0.8)] for index in range(2, 6)}, 8)
    assert all(hides(found, index, _middle(box)) for index, box in enumerate(truth))


def test_noise_beside_one_sure_face_is_not_hidden() -> None:
    """What is faint and comes and goes around a face is no way that the face went."""
    box = around(200, 200)
    seen = {index: [(box, 0.9), (around(200 + 70 * (index % 3), 360), 0.35)] for index in range(10, 20)}
    found = covered(seen, 30)
    assert not any(hides(found, index, around(270, 360, 20)) for index in range(30))


def _middle(box: Box) -> Box:
    """Return the middle of a box, three fifths of each side: where a face is a face."""
    fifth = (box[2] - box[0]) / 5
    return box[0] + fifth, box[1] + fifth, box[2] - fifth, box[3] - fifth


# --- cuts -------------------------------------------------------------------------------------------------


def looks(scenes: Sequence[int], noise: float = 2.0) -> list[bytes]:
    """Return thumbnails of frames, by the number of the scene that each shows; -1 is a flash."""
    rng = np.random.default_rng(0)
    views = {scene: rng.integers(20, 235, 64).astype(float) for scene in sorted(set(scenes))}
    views[-1] = np.full(64, 250.0)
    return [
        (views[scene] + rng.normal(0, noise, 64)).clip(0, 255).astype(np.uint8).tobytes() for scene in scenes
    ]


def test_growing_ends_at_a_cut() -> None:
    """What is hidden in one scene is neither carried into the next nor bridged over it."""
    box = around(200, 200)
    shown = looks([1] * 20 + [2] * 20)
    seen = {10: box, 19: box, 22: box}
    found = [
        FoundFrame(index, (Sighting(seen[index], 0.9),) if index in seen else (), shown[index])
        for index in range(40)
    ]
    assert cuts(found) == [20]
    times = [index / RATE for index in range(40)]
    hidden = cover(found, times, CoverOptions(0.5, 0, 39))
    assert sorted(hidden.regions) == list(range(8, 25))
    assert [first for _, first, _ in hidden.spans()] == [8, 20]


def test_a_flash_is_no_cut() -> None:
    """A frame or two of white light part no track: a face that is missed in them is hidden in them."""
    shown = looks([1] * 10 + [-1, -1] + [1] * 10)
    box = around(200, 200)
    found = [
        FoundFrame(index, () if index in {10, 11} else (Sighting(box, 0.9),), look)
        for index, look in enumerate(shown)
    ]
    assert cuts(found) == []
    hidden = cover(found, [index / RATE for index in range(22)], CoverOptions(0.5, 0, 21))
    assert all(hides(hidden, index, box) for index in range(22))


def test_a_cut_between_looks_may_lie_anywhere_between() -> None:
    """Where not every frame is looked at, those around a cut are hidden after what is on either side."""
    shown = looks([1] * 10 + [2] * 10)
    box = around(200, 200)
    found = [FoundFrame(4 * index, (Sighting(box, 0.9),), look) for index, look in enumerate(shown)]
    hidden = cover(found, [index / RATE for index in range(80)], CoverOptions(0.5, 0, 79))
    assert all(hides(hidden, index, box) for index in range(77))


# --- for anything that may be found -----------------------------------------------------------------------

side = st.floats(20, 200)
place = st.floats(0, 1000)
face = st.tuples(st.builds(around, place, place, side), st.floats(0.3, 1.0))
found_frames = st.dictionaries(st.integers(0, 59), st.lists(face, max_size=3), max_size=30)


@given(seen=found_frames, every=st.sampled_from([1, 2, 3]))
def test_what_is_surely_found_is_hidden(seen: dict[int, list[tuple[Box, float]]], every: int) -> None:
    """Each sure face of a frame that was looked at lies within one region of that frame."""
    found = covered(seen, 60, every)
    for index in range(0, 60, every):
        for box, score in seen.get(index, ()):
            if score >= 0.5:
                assert hides(found, index, box)


@given(seen=found_frames)
def test_regions_stay_within_reach(seen: dict[int, list[tuple[Box, float]]]) -> None:
    """No frame is touched that lies further from every sighting than is bridged or grown; none is invalid."""
    found = covered(seen, 60)
    looked = [index for index, faces in seen.items() if faces]
    for index, regions in found.regions.items():
        assert 0 <= index < 60
        assert min(abs(index - at) for at in looked) <= TURN_S * RATE / 2
        for region in regions:
            assert region.box[0] < region.box[2]
            assert region.box[1] < region.box[3]


@given(seen=found_frames, cut=st.integers(1, 59))
def test_the_order_of_time_alone_counts(seen: dict[int, list[tuple[Box, float]]], cut: int) -> None:
    """Frames that are restored from two chunks give what those of one give."""
    whole = frames(seen, 60)
    times = [index / RATE for index in range(60)]
    options = CoverOptions(0.5, 0, 59)
    assert cover(whole[:cut] + whole[cut:], times, options) == cover(whole, times, options)
