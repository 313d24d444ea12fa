"""Records of chunks, in order, become the result: faces numbered, tracks joined, a summary at the end.

    records in order -> Assembler -> FrameResult after FrameResult -> JSON as it is written
                            `-> AssemblyState between chunks, tracks and summary after the last

One frame is held at a time; tracks are held until the end, a few numbers each.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.video.identities import Follower
from pipelines.video.tracking import TrackerState, TrackSpan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pipelines.video.identities import Identities
    from pipelines.video.records import FaceRecord, FrameRecord


@dataclass(frozen=True, slots=True)
class FaceResult:
    """A face as the API shows it: `bbox` is x, y, width, height in whole pixels of the upright frame."""

    face_id: str
    bbox: tuple[int, int, int, int]
    confidence: float
    track_id: str | None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    matches: Sequence[Mapping[str, Any]] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as the API writes it; attributes only where there are some."""
        shown: dict[str, Any] = {
            "face_id": self.face_id,
            "bbox": list(self.bbox),
            "confidence": self.confidence,
        }
        if self.track_id is not None:
            shown["track_id"] = self.track_id
        if self.attributes:
            shown["attributes"] = dict(self.attributes)
        return shown if self.matches is None else {**shown, "identity": {"matches": list(self.matches)}}


@dataclass(frozen=True, slots=True)
class FrameResult:
    """A sampled frame as the API shows it."""

    timestamp: float
    faces: tuple[FaceResult, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as the API writes it."""
        return {"timestamp": self.timestamp, "faces": [face.to_json() for face in self.faces]}


@dataclass(frozen=True, slots=True)
class TrackResult:
    """A face through time; `person_id` None means unknown."""

    track_id: str
    appears_at: float
    disappears_at: float
    person_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as the API writes it."""
        return {
            "track_id": self.track_id,
            "person_id": self.person_id,
            "appears_at": self.appears_at,
            "disappears_at": self.disappears_at,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """`total_faces` counts tracks; `unique_identities` persons, and tracks that are nobody known."""

    total_faces: int
    unique_identities: int

    def to_json(self) -> dict[str, Any]:
        """Return it as the API writes it."""
        return {"total_faces": self.total_faces, "unique_identities": self.unique_identities}


@dataclass(frozen=True, slots=True)
class AssemblyState:
    """All that must be known to go on with the next chunk."""

    next_face: int = 1
    tracker: TrackerState = field(default_factory=TrackerState)
    ended: tuple[TrackSpan, ...] = ()
    last_s: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the state as values that JSON knows."""
        ended = [[span.number, span.appears_at, span.disappears_at] for span in self.ended]
        return {
            "next_face": self.next_face,
            "tracker": self.tracker.to_json(),
            "ended": ended,
            "last_s": self.last_s,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> AssemblyState:
        """Return the state that was stored."""
        ended = tuple(TrackSpan(*span) for span in value["ended"])
        return cls(value["next_face"], TrackerState.from_json(value["tracker"]), ended, value["last_s"])


class Assembler:
    """Takes the records of all chunks in order.

    Args:
        size: width and height of the upright frames.
        rate: samples a second.
        state: where an earlier assembler stopped.
        identities: who the tracks are, where that was asked for.
    """

    def __init__(
        self,
        size: tuple[int, int],
        rate: float,
        state: AssemblyState | None = None,
        identities: Identities | None = None,
    ) -> None:
        begun = state or AssemblyState()
        self._identities = identities
        self._size = size
        self._next_face = begun.next_face
        self._follower = Follower(rate, begun.tracker, begun.last_s)
        self._ended = list(begun.ended)

    @property
    def state(self) -> AssemblyState:
        """All that must be known to go on."""
        follower = self._follower
        return AssemblyState(self._next_face, follower.tracker, tuple(self._ended), follower.last_s)

    def add(self, frames: Iterable[FrameRecord]) -> Iterator[FrameResult]:
        """Yield the results of the next frames; they count as taken when they have been yielded."""
        for frame in frames:
            numbers, ended, _ = self._follower.step(frame)
            self._ended += ended
            first = self._next_face
            self._next_face += len(numbers)
            pairs = enumerate(zip(frame.faces, numbers, strict=True), first)
            yield FrameResult(
                frame.timestamp, tuple(self._face(at, face, track) for at, (face, track) in pairs)
            )

    def finish(self) -> tuple[list[TrackResult], Summary]:
        """Return all tracks, in order of appearance, and the summary."""
        self._ended += self._follower.finish()
        spans = sorted(self._ended, key=lambda span: span.number)
        known = self._identities
        tracks = [
            TrackResult(
                f"t_{span.number}",
                span.appears_at,
                span.disappears_at,
                None if known is None else known.person_of(span.number),
            )
            for span in spans
        ]
        return tracks, Summary(len(tracks), len(tracks) if known is None else known.count)

    def _face(self, number: int, face: FaceRecord, track: int) -> FaceResult:
        return FaceResult(
            f"f_{number:02d}",
            whole_box(face.box, self._size),
            round(face.confidence, 3),
            f"t_{track}",
            face.attributes,
            None if self._identities is None else self._identities.matches_of(track),
        )


def whole_box(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return x, y, width and height in whole pixels, within the frame and at least one pixel."""
    x1, y1 = min(max(0, round(box[0])), size[0] - 1), min(max(0, round(box[1])), size[1] - 1)
    x2, y2 = min(max(x1 + 1, round(box[2])), size[0]), min(max(y1 + 1, round(box[3])), size[1])
    return x1, y1, x2 - x1, y2 - y1


class Writer(Protocol):
    """A file for text, or whatever takes text like one."""

    def write(self, text: str, /) -> object:
        """Take the next piece."""


def write_result(assembler: Assembler, records: Iterable[Iterable[FrameRecord]], out: Writer) -> Summary:
    """Write the whole result as JSON, frame by frame, and return its summary.

    Args:
        assembler: a fresh one.
        records: the frames of each chunk, in order.
        out: where to write.
    """
    out.write('{"frames":[')
    separator = ""
    for record in records:
        for frame in assembler.add(record):
            out.write(separator + _dumped(frame.to_json()))
            separator = ","
    tracks, summary = assembler.finish()
    shown = [track.to_json() for track in tracks]
    out.write(f'],"face_tracks":{_dumped(shown)},"summary":{_dumped(summary.to_json())}}}')
    return summary


def _dumped(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
