"""Follows faces through the sampled frames: which boxes are one face that moves.

Each track foretells where its face is by now; boxes and tracks are paired so that all of them together are
nearest, measured in face widths. A face that is hidden is waited for; one that stays away longer is a new
track when it returns. Where embeddings are given, faces that look alike count as nearer.

A tracker is fed every frame in order, chunk after chunk. What it knows is one plain value, `TrackerState`,
that can be stored between chunks: where chunks were cut makes no difference.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.video.assignment import assign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: How long a hidden face is waited for: this, or this many samples where they are rare.
_WAIT_S, _WAIT_SAMPLES = 1.6, 2.5
#: Face widths that a face may be from where it is expected: at once, for each second, and at most.
_REACH, _REACH_PER_S, _MAX_REACH = 0.6, 3.0, 4.0
#: By which factor, as its logarithm, a face's size may change between two sightings.
_SIZE_CHANGE = 0.8
_SIZE_WEIGHT, _WAIT_WEIGHT, _LOOKS_WEIGHT = 0.5, 0.4, 2.0
#: More than any pair that is allowed can cost.
_UNPAIRED = 8.0
#: Cosine under which two embeddings are of different people. One in a hundred strangers reaches it, so that
#: a cut from one head to another in the same place ends a track; who is lost by it is known again afterwards.
_STRANGER = 0.3
#: Seconds over which a velocity is averaged, and after which a hidden face is no longer trusted to go on.
_VELOCITY_S, _MOMENTUM_S = 0.25, 0.8


@dataclass(frozen=True, slots=True)
class Track:
    """One face as far as it has been followed.

    Attributes:
        number: from 1, in order of appearance.
        centre: x and y of the last sighting, in pixels.
        size: width and height of the last sighting.
        velocity: pixels a second, or None after a single sighting.
        first_s: time of the first sighting.
        last_s: time of the last one.
        embedding: how the face looks, of length one; empty where that is not known.
    """

    number: int
    centre: tuple[float, float]
    size: tuple[float, float]
    velocity: tuple[float, float] | None
    first_s: float
    last_s: float
    embedding: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class TrackSpan:
    """When a face is first and last seen, in seconds."""

    number: int
    appears_at: float
    disappears_at: float


@dataclass(frozen=True, slots=True)
class TrackerState:
    """All that a tracker knows between two frames."""

    next_number: int = 1
    alive: tuple[Track, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the state as values that JSON knows; floats come back exactly as they were."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TrackerState:
        """Return the state that was stored."""
        tracks = (
            Track(
                number=track["number"],
                centre=tuple(track["centre"]),
                size=tuple(track["size"]),
                velocity=tuple(track["velocity"]) if track["velocity"] else None,
                first_s=track["first_s"],
                last_s=track["last_s"],
                embedding=tuple(track["embedding"]),
            )
            for track in value["alive"]
        )
        return cls(value["next_number"], tuple(tracks))


class Tracker:
    """Gives every box the number of its track, frame after frame.

    Args:
        rate: samples a second.
        state: where an earlier tracker stopped.
    """

    def __init__(self, rate: float, state: TrackerState | None = None) -> None:
        self.state = state or TrackerState()
        self._interval_s = 1 / rate
        self._wait_s = max(_WAIT_S, _WAIT_SAMPLES / rate)

    def step(
        self,
        timestamp: float,
        boxes: Sequence[Sequence[float]] | NDArray[np.floating[Any]],
        embeddings: NDArray[np.float32] | None = None,
    ) -> tuple[list[int], list[TrackSpan]]:
        """Take the faces of the next frame.

        Args:
            timestamp: seconds, later than the frame before.
            boxes: corners x1, y1, x2, y2 of each face.
            embeddings: [N, D] of length one, if known.

        Returns:
            The track number of each face, and the tracks that ended before this frame.
        """
        known = [track for track in self.state.alive if timestamp - track.last_s <= self._wait_s]
        gone = [track for track in self.state.alive if timestamp - track.last_s > self._wait_s]
        corners = np.asarray(boxes, np.float64).reshape(-1, 4)
        pairs = {
            column: row
            for row, column in assign(self._costs(known, corners, embeddings, timestamp), _UNPAIRED)
        }
        next_number = self.state.next_number
        numbers: list[int] = []
        seen: dict[int, Track] = {}
        for index, (x1, y1, x2, y2) in enumerate(corners.tolist()):
            before = known[pairs[index]] if index in pairs else None
            number = before.number if before else next_number
            next_number += before is None
            looks = () if embeddings is None else tuple(embeddings[index].tolist())
            centre, size = ((x1 + x2) / 2, (y1 + y2) / 2), (max(1.0, x2 - x1), max(1.0, y2 - y1))
            numbers.append(number)
            seen[number] = _continued(before, number, centre, size, timestamp, looks)
        left = [track for track in known if track.number not in seen]
        self.state = TrackerState(
            next_number, tuple(sorted([*left, *seen.values()], key=lambda track: track.number))
        )
        return numbers, [_span(track) for track in gone]

    def finish(self) -> list[TrackSpan]:
        """Return the tracks that last until the end of the video."""
        spans = [_span(track) for track in self.state.alive]
        self.state = TrackerState(self.state.next_number)
        return spans

    def _costs(
        self,
        tracks: list[Track],
        corners: NDArray[np.float64],
        embeddings: NDArray[np.float32] | None,
        now: float,
    ) -> NDArray[np.float64]:
        """Return what it costs to take each box for each track's face: `_UNPAIRED` where it cannot be."""
        if not tracks or not len(corners):
            return np.zeros((len(tracks), len(corners)))
        expected = np.array([_expected(track, now) for track in tracks])
        elapsed = np.array([[now - track.last_s] for track in tracks])
        track_side = np.sqrt([[track.size[0] * track.size[1]] for track in tracks])
        sizes = np.maximum(1.0, corners[:, 2:] - corners[:, :2])
        side = np.sqrt(sizes[:, 0] * sizes[:, 1])[None]
        centres = (corners[:, :2] + corners[:, 2:]) / 2
        away = np.hypot(*(centres[None] - expected[:, None]).transpose(2, 0, 1)) / np.sqrt(track_side * side)
        change = np.abs(np.log(side / track_side))
        costs = away + _SIZE_WEIGHT * change + _WAIT_WEIGHT * np.maximum(0, elapsed - self._interval_s)
        is_out = (away > np.minimum(_MAX_REACH, _REACH + _REACH_PER_S * elapsed)) | (change > _SIZE_CHANGE)
        if embeddings is not None:
            for row, track in enumerate(tracks):
                if track.embedding:
                    alike = embeddings.astype(np.float64) @ np.array(track.embedding)
                    costs[row] += _LOOKS_WEIGHT * (1 - alike)
                    is_out[row] |= alike < _STRANGER
        return np.asarray(np.where(is_out, _UNPAIRED, costs), np.float64)


def _expected(track: Track, now: float) -> tuple[float, float]:
    """Return where a track's face is expected: it goes on, but not for ever."""
    if track.velocity is None:
        return track.centre
    seconds = _MOMENTUM_S * (1 - math.exp((track.last_s - now) / _MOMENTUM_S))
    return track.centre[0] + track.velocity[0] * seconds, track.centre[1] + track.velocity[1] * seconds


def _continued(
    before: Track | None,
    number: int,
    centre: tuple[float, float],
    size: tuple[float, float],
    now: float,
    looks: tuple[float, ...],
) -> Track:
    if before is None:
        return Track(number, centre, size, None, now, now, looks)
    elapsed = max(now - before.last_s, 1e-3)
    moved = (centre[0] - before.centre[0]) / elapsed, (centre[1] - before.centre[1]) / elapsed
    weight = 1 - math.exp(-elapsed / _VELOCITY_S)
    old = before.velocity or (0.0, 0.0)
    velocity = old[0] + weight * (moved[0] - old[0]), old[1] + weight * (moved[1] - old[1])
    return Track(number, centre, size, velocity, before.first_s, now, looks or before.embedding)


def _span(track: Track) -> TrackSpan:
    return TrackSpan(track.number, track.first_s, track.last_s)
