"""What one chunk found, as bytes that are stored when it is done and read when all are.

One line of JSON for each frame, compressed: a reader holds one frame at a time, and a longer video means
more records, never larger ones. Numbers are rounded before anything is made from them, so that results do not
depend on whether a record was stored in between.
"""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pipelines.faces import Faces

_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class FaceRecord:
    """A face in one frame.

    Attributes:
        box: corners x1, y1, x2, y2 in pixels of the upright frame.
        confidence: of the detector, 0..1.
        attributes: what else is known of it, as the API shows it.
        embedding: how it looks, of length one; empty where nobody asked.
    """

    box: tuple[float, float, float, float]
    confidence: float
    attributes: Mapping[str, Any] = field(default_factory=dict)
    embedding: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """A sampled frame and its faces; without faces it is kept too, because results list it."""

    timestamp: float
    faces: tuple[FaceRecord, ...]


def frame_record(timestamp: float, faces: Faces, attributes: Sequence[Mapping[str, Any]] = ()) -> FrameRecord:
    """Return the record of a frame.

    Args:
        timestamp: seconds from the beginning.
        faces: in pixels of the upright frame.
        attributes: what else is known of each face, where anything is.
    """
    found = []
    told = attributes or ({},) * len(faces)
    for box, score, more in zip(faces.boxes.tolist(), faces.scores.tolist(), told, strict=True):
        x1, y1, x2, y2 = (round(value, 2) for value in box)
        found.append(FaceRecord((x1, y1, x2, y2), round(score, 4), more))
    return FrameRecord(timestamp, tuple(found))


def large_enough(faces: Faces, min_face_px: float) -> Faces:
    """Return the faces whose shorter side has this many pixels."""
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    return faces.take(sides.min(axis=1, initial=math.inf).round(2) >= min_face_px)


def write_record(frames: Iterable[FrameRecord]) -> bytes:
    """Return the record of one chunk."""
    squeeze = zlib.compressobj(6)
    parts = [squeeze.compress(_line(frame)) for frame in frames]
    return b"".join([*parts, squeeze.flush()])


def read_record(data: bytes) -> Iterator[FrameRecord]:
    """Yield the frames of one chunk's record, holding few at a time.

    Raises:
        ValueError: the record is cut off.
    """
    stretch = zlib.decompressobj()
    rest, unread = b"", data
    while not stretch.eof:
        part = stretch.decompress(unread, _READ_BYTES)
        unread = stretch.unconsumed_tail
        if not part and not unread and not stretch.eof:
            message = "a chunk's record is cut off"
            raise ValueError(message)
        *lines, rest = (rest + part).split(b"\n")
        yield from map(_frame, lines)


def _line(frame: FrameRecord) -> bytes:
    faces = [_entry(face) for face in frame.faces]
    return json.dumps([frame.timestamp, faces], separators=(",", ":")).encode() + b"\n"


def _entry(face: FaceRecord) -> list[Any]:
    entry: list[Any] = [face.box, face.confidence]
    if face.attributes or face.embedding:
        entry += [dict(face.attributes), face.embedding]
    return entry


def _frame(line: bytes) -> FrameRecord:
    timestamp, entries = json.loads(line)
    faces = []
    for box, confidence, *more in entries:
        attributes, embedding = more or ({}, ())
        faces.append(FaceRecord(tuple(box), confidence, attributes, tuple(embedding)))
    return FrameRecord(timestamp, tuple(faces))
