"""Who the tracks are: one vector for each, from its best looks, and which unknown ones are one person.

    records in order -> TrackLooks -> tracks with vectors -> [who knows people: matches]
                                                         '-> unknown ones joined -> Identities -> appearances

Each look votes with its quality, as pictures of a person do in `pipelines.template`: one blurred frame, or
one of somebody who walked through, changes nothing. A track keeps a bounded number of looks while it lasts,
and one vector after it.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.embed_faces import unit
from pipelines.template import template_of
from pipelines.video.records import is_embedded, looks_of
from pipelines.video.tracking import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from pipelines.video.records import FaceRecord, FrameRecord
    from pipelines.video.tracking import TrackerState, TrackSpan

#: Looks of one track that vote: its best ones.
MOST_LOOKS = 16
#: Groups of tracks that are compared each with each, once all tracks are there.
MOST_COMPARED = 500


@dataclass(frozen=True, slots=True)
class TrackLook:
    """A track, and how its face looks; `vector` is None where no frame of it became vectors."""

    span: TrackSpan
    vector: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Identities:
    """Who the tracks are, by their numbers.

    Attributes:
        matches: of tracks that are somebody known, best first, as the API shows them.
        same: of every other track, the first one of the same unknown person, which may be itself.
    """

    matches: Mapping[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    same: Mapping[int, int] = field(default_factory=dict)

    def matches_of(self, track: int) -> Sequence[Mapping[str, Any]]:
        """Return whom a track may be."""
        return self.matches.get(track, ())

    def person_of(self, track: int) -> str | None:
        """Return who a track is, None for somebody unknown."""
        found = self.matches_of(track)
        return str(found[0]["person_id"]) if found else None

    @property
    def count(self) -> int:
        """Return how many people there are: known ones, and unknown ones who come back counted once."""
        known = {self.person_of(track) for track in self.matches}
        return len(known) + len(set(self.same.values()))


class Follower:
    """Gives the frames of all records, in order, to a tracker; every pass over them does it this one way.

    Args:
        rate: samples a second.
        tracker: where an earlier one stopped.
        last_s: time of the last frame that it was given.
    """

    def __init__(self, rate: float, tracker: TrackerState | None = None, last_s: float | None = None) -> None:
        self._tracker = Tracker(rate, tracker)
        self.last_s = last_s

    @property
    def tracker(self) -> TrackerState:
        """Return all that the tracker knows."""
        return self._tracker.state

    def step(self, frame: FrameRecord) -> tuple[list[int], list[TrackSpan], bool]:
        """Take a frame.

        Returns:
            The track number of each face, the tracks that ended before, and whether the faces' looks count.
        """
        counts, self.last_s = is_embedded(frame.timestamp, self.last_s), frame.timestamp
        looks = None
        if counts and frame.faces and all(face.embedding for face in frame.faces):
            looks = looks_of([face.embedding for face in frame.faces])
        boxes = [face.box for face in frame.faces]
        return *self._tracker.step(frame.timestamp, boxes, looks), counts

    def finish(self) -> list[TrackSpan]:
        """Return the tracks that last until the end."""
        return self._tracker.finish()


class TrackLooks:
    """Follows faces through the records of all chunks in order, and keeps how each track looks.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: float) -> None:
        self._follower = Follower(rate)
        #: By track: quality, the later the smaller, embedding.
        self._best: dict[int, list[tuple[float, int, bytes]]] = {}
        self._seen = 0
        self._ended: list[TrackLook] = []

    def add(self, frames: Iterable[FrameRecord]) -> None:
        """Take the next frames."""
        for frame in frames:
            numbers, ended, counts = self._follower.step(frame)
            self._end(ended)
            for number, face in zip(numbers, frame.faces, strict=True):
                if counts and face.embedding:
                    self._keep(self._best.setdefault(number, []), face)

    def finish(self) -> list[TrackLook]:
        """Return all tracks in order of appearance."""
        self._end(self._follower.finish())
        return sorted(self._ended, key=lambda track: track.span.number)

    def _keep(self, best: list[tuple[float, int, bytes]], face: FaceRecord) -> None:
        self._seen += 1
        heapq.heappush(best, (face.quality, -self._seen, face.embedding))
        if len(best) > MOST_LOOKS:
            heapq.heappop(best)

    def _end(self, spans: Iterable[TrackSpan]) -> None:
        for span in spans:
            best = sorted(self._best.pop(span.number, ()), reverse=True)
            vector = None
            if best:
                qualities = np.array([quality for quality, _, _ in best])
                vector = template_of(looks_of([look for _, _, look in best]), qualities)
            self._ended.append(TrackLook(span, vector))


def join_unknown(tracks: Sequence[TrackLook], threshold: float) -> dict[int, int]:
    """Return for each track the first one of the same person.

    A track joins those that it resembles most, if it resembles them enough and was never seen beside them:
    nobody is in two places of one picture. Then groups join each other, the most alike first: what decided
    when the first tracks came may look otherwise now that all are there.

    Args:
        tracks: of unknown people, in order of appearance.
        threshold: the cosine from which on two tracks are of one person.
    """
    same: dict[int, int] = {}
    looking = [track for track in tracks if track.vector is not None]
    sums = np.zeros((len(looking), len(looking[0].vector) if looking else 0), np.float32)  # type: ignore[arg-type] # those without one are out
    groups: list[list[TrackLook]] = []
    ends = np.zeros(len(looking))
    for track in tracks:
        number, vector, count = track.span.number, track.vector, len(groups)
        group = count
        if vector is None:
            same[number] = number
            continue
        if count:
            alike = unit(sums[:count]) @ vector
            alike[ends[:count] >= track.span.appears_at] = -1.0
            nearest = int(np.argmax(alike))
            group = nearest if alike[nearest] >= threshold else count
        if group == count:
            groups.append([])
        groups[group].append(track)
        sums[group] += vector
        ends[group] = max(ends[group], track.span.disappears_at)
    if len(groups) <= MOST_COMPARED:
        groups = _reunited(groups, sums[: len(groups)], threshold)
    for members in groups:
        first = min(track.span.number for track in members)
        same |= {track.span.number: first for track in members}
    return same


def _reunited(
    groups: list[list[TrackLook]], sums: NDArray[np.float32], threshold: float
) -> list[list[TrackLook]]:
    """Join groups that are one person, the most alike first.

    A group is compared as a person of several pictures is (`pipelines.template`): the less its tracks are
    alike, the less it resembles anybody.
    """
    counts = np.array([len(members) for members in groups], np.float32)
    beside = np.array([[_meet(one, other) for other in groups] for one in groups], bool)
    left = np.ones(len(groups), bool)
    alike = _alike(sums, counts, sums, counts)
    while left.sum() > 1:
        allowed = left[:, None] & left[None] & ~beside
        np.fill_diagonal(allowed, val=False)
        best = np.where(allowed, alike, -1.0)
        one, other = sorted(divmod(int(np.argmax(best)), len(groups)))
        if best[one, other] < threshold:
            break
        groups[one] = [*groups[one], *groups[other]]
        sums[one] += sums[other]
        counts[one] += counts[other]
        left[other] = False
        beside[one] |= beside[other]
        beside[:, one] = beside[one]
        alike[one] = alike[:, one] = _alike(sums[one : one + 1], counts[one : one + 1], sums, counts)[0]
    return [members for members, stays in zip(groups, left, strict=True) if stays]


def _alike(
    sums: NDArray[np.float32],
    counts: NDArray[np.float32],
    other_sums: NDArray[np.float32],
    other_counts: NDArray[np.float32],
) -> NDArray[np.float32]:
    one, other = (
        unit(total) * (np.linalg.norm(total, axis=1) / count)[:, None] ** (1 / 3)
        for total, count in ((sums, counts), (other_sums, other_counts))
    )
    return np.asarray(one @ other.T, np.float32)


def _meet(one: Sequence[TrackLook], other: Sequence[TrackLook]) -> bool:
    """Tell whether two groups were seen at the same time."""
    return any(
        a.span.appears_at <= b.span.disappears_at and b.span.appears_at <= a.span.disappears_at
        for a in one
        for b in other
    )


def appearances(tracks: Sequence[TrackLook], identities: Identities) -> list[dict[str, Any]]:
    """Return who appears when, in order of appearance, as the API shows it."""
    people: dict[tuple[str | None, int], dict[str, Any]] = {}
    for track in tracks:
        number = track.span.number
        matches = identities.matches_of(number)
        key = (identities.person_of(number), identities.same.get(number, 0))
        start, end = (round(at * 1000) for at in (track.span.appears_at, track.span.disappears_at))
        span = {"start_ms": start, "end_ms": end, "track_id": f"t_{number}"}
        if key not in people:
            people[key] = appearance(matches[0] if matches else None, number)
        person = people[key]
        person["spans"].append(span)
        if matches:
            person["score"] = max(person["score"], matches[0]["score"])
    return list(people.values())


def appearance(match: Mapping[str, Any] | None, first: int) -> dict[str, Any]:
    """Return somebody who has not appeared yet, known or not; `first` numbers the first track or face."""
    return {
        "person_id": match["person_id"] if match else None,
        "unknown_id": None if match else f"u_{first}",
        "name": match["name"] if match else None,
        "score": match["score"] if match else None,
        "spans": [],
    }
