"""What one chunk found, as bytes that are stored when it is done and read when all are.

One line of JSON for each frame, compressed: a reader holds one frame at a time, and a longer video means
more records, never larger ones. Numbers are rounded before anything is made from them, so that results do not
depend on whether a record was stored in between.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.embed_faces import unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from pipelines.embed_faces import EmbeddedFaces
    from pipelines.faces import Faces

#: Frames of a second of media whose faces become vectors.
EMBEDDED_PER_S = 5
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class FaceRecord:
    """A face in one frame.

    Attributes:
        box: corners x1, y1, x2, y2 in pixels of the upright frame.
        confidence: of the detector, 0..1.
        attributes: what else is known of it, as the API shows it.
        embedding: how it looks, at half precision; empty where nobody asked.
        quality: how far the embedding can be trusted, 0..1.
    """

    box: tuple[float, float, float, float]
    confidence: float
    attributes: Mapping[str, Any] = field(default_factory=dict)
    embedding: bytes = field(default=b"", repr=False)
    quality: float = 0.0


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """A sampled frame and its faces; without faces it is kept too, because results list it."""

    timestamp: float
    faces: tuple[FaceRecord, ...]


def frame_record(
    timestamp: float,
    faces: Faces,
    attributes: Sequence[Mapping[str, Any]] = (),
    embedded: EmbeddedFaces | None = None,
) -> FrameRecord:
    """Return the record of a frame.

    Args:
        timestamp: seconds from the beginning.
        faces: in pixels of the upright frame.
        attributes: what else is known of each face, where anything is.
        embedded: how each face looks, where that was asked for.
    """
    found = []
    told = attributes or ({},) * len(faces)
    looks = ((b"", 0.0),) * len(faces)
    if embedded is not None:
        qualities = embedded.qualities.round(4).tolist()
        looks = tuple(zip(map(packed_look, embedded.vectors), qualities, strict=True))
    for box, score, more, look in zip(faces.boxes.tolist(), faces.scores.tolist(), told, looks, strict=True):
        x1, y1, x2, y2 = (round(value, 2) for value in box)
        found.append(FaceRecord((x1, y1, x2, y2), round(score, 4), more, *look))
    return FrameRecord(timestamp, tuple(found))


def is_embedded(timestamp: float, before: float | None) -> bool:
    """Tell whether the faces of a frame count as vectors: of each fifth of a second the first frame does.

    Who analyses a chunk does not know the frame before it and takes its first frame in any case; who reads
    all records in order leaves out what that was too much. So it does not matter where a video is cut.

    Args:
        timestamp: of the frame, in seconds.
        before: the one of the sampled frame before it, None where that is not known.
    """
    if before is None:
        return True
    return math.floor(timestamp * EMBEDDED_PER_S) > math.floor(before * EMBEDDED_PER_S)


def packed_look(vector: NDArray[np.float32]) -> bytes:
    """Return an embedding as it is kept: half the bytes, and no cosine changes by a thousandth."""
    return vector.astype("<f2").tobytes()


def looks_of(packed: Sequence[bytes]) -> NDArray[np.float32]:
    """Return kept embeddings, float32 [N, D], each of length one again."""
    rows = np.frombuffer(b"".join(packed), "<f2").reshape(len(packed), -1)
    return unit(rows.astype(np.float32))


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
        entry.append(dict(face.attributes))
    if face.embedding:
        entry += [base64.b64encode(face.embedding).decode(), face.quality]
    return entry


def _frame(line: bytes) -> FrameRecord:
    timestamp, entries = json.loads(line)
    faces = []
    for box, confidence, *more in entries:
        attributes, look, quality = (*more, "", 0.0) if len(more) == 1 else more or ({}, "", 0.0)
        faces.append(FaceRecord(tuple(box), confidence, attributes, base64.b64decode(look), quality))
    return FrameRecord(timestamp, tuple(faces))
