"""Who tracks are: looks that vote, unknown people who come back, and that cuts make no difference."""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.embed_faces import EmbeddedFaces, unit
from pipelines.faces import Faces
from pipelines.video.assembly import Assembler, AssemblyState
from pipelines.video.identities import (
    MOST_LOOKS,
    Identities,
    TrackLook,
    TrackLooks,
    appearances,
    join_unknown,
)
from pipelines.video.records import FrameRecord, frame_record, is_embedded, read_record, write_record
from pipelines.video.tracking import TrackSpan
from tests.pipelines.video.moving_faces import FACES, world

DIMENSIONS = 128
PEOPLE = unit(np.random.default_rng(7).normal(size=(FACES, DIMENSIONS)).astype(np.float32))
_FAR_APART = 0.45


def looks(people: list[int], rng: np.random.Generator) -> EmbeddedFaces:
    """Return how these people look at a moment, better or worse."""
    noise = unit(rng.normal(size=(len(people), DIMENSIONS)).astype(np.float32))
    vectors = unit(PEOPLE[people] * 0.83 + noise * 0.56) if people else noise
    return EmbeddedFaces(vectors, rng.uniform(0.2, 0.9, (len(people), 5)), np.full(len(people), 0.5))


@lru_cache
def scene(kind: str, rate: float) -> tuple[tuple[FrameRecord, ...], tuple[list[int], ...]]:
    """Return a synthetic world as it is analysed in one piece, each face with its look, and who is who."""
    rng = np.random.default_rng(3)
    frames, people = [], []
    for time, numbers, boxes in world(kind, rate, 1):
        scores = np.full(len(numbers), 0.9, np.float32)
        faces = Faces(boxes.astype(np.float32), scores, None)
        who = [number % FACES for number in numbers]
        frames.append(frame_record(round(time, 6), faces, embedded=looks(who, rng)))
        people.append(who)
    return tuple(frames), tuple(people)


def stored(frames: tuple[FrameRecord, ...], cuts: list[int]) -> list[bytes]:
    """Return the records of chunks as those who analyse them leave them: looks of some frames alone."""
    chunks = []
    for begin, end in pairwise([0, *cuts, len(frames)]):
        last, kept = None, []
        for frame in frames[begin:end]:
            if not is_embedded(frame.timestamp, last):
                plain = [(face.box, face.confidence) for face in frame.faces]
                boxes = np.array([box for box, _ in plain], np.float32).reshape(-1, 4)
                faces = Faces(boxes, np.array([score for _, score in plain], np.float32), None)
                frame = frame_record(frame.timestamp, faces)  # noqa: PLW2901 - the same without looks
            last = frame.timestamp
            kept.append(frame)
        chunks.append(write_record(kept))
    return chunks


def outcome(chunks: list[bytes], rate: float) -> tuple[str, list[TrackLook], Identities]:
    """Return all that is shown of a scene where nobody is known, going on from chunk to chunk."""
    following = TrackLooks(rate)
    for chunk in chunks:
        following.add(read_record(chunk))
    tracks = following.finish()
    identities = Identities({}, join_unknown(tracks, _FAR_APART))
    state, shown = AssemblyState(), []
    for chunk in chunks:
        begun = AssemblyState.from_json(json.loads(json.dumps(state.to_json())))
        assembler = Assembler((1920, 1080), rate, begun, identities)
        shown += [frame.to_json() for frame in assembler.add(read_record(chunk))]
        state = assembler.state
    ended, summary = Assembler((1920, 1080), rate, state, identities).finish()
    everything = [shown, [each.to_json() for each in ended], summary.to_json()]
    return json.dumps([everything, appearances(tracks, identities)]), tracks, identities


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([("leaving", 2), ("hidden", 10), ("crossing", 12)]),
    st.sets(st.integers(1, 200), max_size=12),
)
def test_cuts_make_no_difference(which: tuple[str, float], cuts: set[int]) -> None:
    """One chunk or many give the same tracks, vectors, people and spans, though each looks once more."""
    kind, rate = which
    frames, _ = scene(kind, rate)
    inside = sorted(cut for cut in cuts if cut < len(frames))
    whole, tracks, _ = outcome(stored(frames, []), rate)
    cut, again, _ = outcome(stored(frames, inside), rate)
    assert cut == whole
    for one, other in zip(tracks, again, strict=True):
        assert one.span == other.span
        np.testing.assert_array_equal(one.vector, other.vector)


@pytest.mark.parametrize("rate", [2, 10])
def test_who_leaves_and_returns_is_one_person(rate: float) -> None:
    """Six people who each go away for five seconds are six people with two spans, not twelve."""
    frames, _ = scene("leaving", rate)
    shown, tracks, identities = outcome(stored(frames, []), rate)
    assert len(tracks) > FACES
    assert identities.count == FACES
    people = json.loads(shown)[1]
    assert len(people) == FACES
    assert max(len(person["spans"]) for person in people) > 1
    assert {person["unknown_id"] for person in people} == {
        f"u_{first}" for first in set(identities.same.values())
    }


def test_a_track_keeps_a_bounded_number_of_looks() -> None:
    """However long a face is seen, a few looks of it are in memory, and afterwards one vector."""
    rng = np.random.default_rng(1)
    following = TrackLooks(5)
    box = Faces(np.array([[0, 0, 90, 90]], np.float32), np.ones(1, np.float32), None)
    for number in range(500):
        following.add([frame_record(number / 5, box, embedded=looks([0], rng))])
        held = sum(len(best) for best in following._best.values())  # noqa: SLF001 - what is held is the point
        assert held <= MOST_LOOKS
    (track,) = following.finish()
    assert track.vector is not None
    assert float(track.vector @ PEOPLE[0]) > 0.9


def test_one_bad_look_changes_nobody() -> None:
    """A few frames in which the tracker slipped to somebody else do not make a track another's."""
    rng = np.random.default_rng(2)
    following = TrackLooks(5)
    box = Faces(np.array([[0, 0, 90, 90]], np.float32), np.ones(1, np.float32), None)
    for number in range(12):
        following.add([frame_record(number / 5, box, embedded=looks([1 if number in {3, 7, 8} else 0], rng))])
    vectors = [track.vector for track in following.finish() if track.vector is not None]
    assert max(float(vector @ PEOPLE[0]) for vector in vectors) > 0.8
    main = max(vectors, key=lambda vector: float(vector @ PEOPLE[0]))
    assert float(main @ PEOPLE[1]) < 0.3


def test_nobody_is_in_two_places() -> None:
    """Two tracks that are seen at the same time are two people, even if they look the same."""
    twin = PEOPLE[0]
    beside = [TrackLook(TrackSpan(1, 0.0, 4.0), twin), TrackLook(TrackSpan(2, 3.0, 6.0), twin)]
    assert join_unknown(beside, _FAR_APART) == {1: 1, 2: 2}
    after = [*beside, TrackLook(TrackSpan(3, 8.0, 9.0), twin), TrackLook(TrackSpan(4, 8.5, 9.0), twin)]
    joined = join_unknown(after, _FAR_APART)
    assert {joined[3], joined[4]} == {1, 2}


def test_who_comes_first_does_not_decide() -> None:
    """Two looks that are not alike are one person once a third one, which is like both, has come."""
    here, there = np.linalg.qr(PEOPLE[:2].T)[0].T.astype(np.float32)
    turned = [
        np.float32(np.cos(angle)) * here + np.float32(np.sin(angle)) * there for angle in (0, 1.15, 0.5)
    ]
    assert float(turned[0] @ turned[1]) < _FAR_APART
    tracks = [TrackLook(TrackSpan(number, number, number + 0.5), turned[number - 1]) for number in (1, 2, 3)]
    assert join_unknown(tracks, _FAR_APART) == {1: 1, 2: 1, 3: 1}
    beside = [TrackLook(TrackSpan(1, 1.0, 2.5), turned[0]), *tracks[1:]]
    joined = join_unknown(beside, _FAR_APART)
    assert joined[1] != joined[2]


def test_tracks_without_a_look_are_somebody_each() -> None:
    """Who was never seen well enough is joined with nobody, and counts."""
    unseen = [TrackLook(TrackSpan(1, 0.0, 1.0), None), TrackLook(TrackSpan(2, 5.0, 6.0), None)]
    identities = Identities({}, join_unknown(unseen, _FAR_APART))
    assert identities.count == 2
    assert join_unknown([], _FAR_APART) == {}


def test_known_people_by_their_best_score() -> None:
    """Somebody known is shown once, with every span and the best score of them."""

    def match(score: float) -> dict[str, object]:
        return {"person_id": "p", "name": "P", "score": score, "similarity": 0.5}

    tracks = [TrackLook(TrackSpan(number, number, number + 0.5), PEOPLE[0]) for number in (1, 2, 3)]
    identities = Identities({1: [match(0.8)], 3: [match(0.9)]}, {2: 2})
    assert identities.count == 2
    (known, unknown) = appearances(tracks, identities)
    assert (known["person_id"], known["score"], len(known["spans"])) == ("p", 0.9, 2)
    assert known["spans"][1] == {"start_ms": 3000, "end_ms": 3500, "track_id": "t_3"}
    assert (unknown["person_id"], unknown["unknown_id"], unknown["score"]) == (None, "u_2", None)
