"""The first pass: the faces of each frame of a chunk, and a thumbnail by which cuts are told.

EveryFrame: wanted frames, each with its tick as its time -> ChunkAnalyzer -> found -> bytes that are kept
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2

from pipelines.redact.cover import FoundFrame, Sighting
from pipelines.video.decode import Converter, SampledFrame, timed_frames

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from pipelines.redact.animation import EveryPicture
    from pipelines.video.analyze_chunk import ChunkAnalyzer, FrameOptions
    from pipelines.video.plan import Chunk
    from pipelines.video.probe import VideoInfo

#: A face may be less sure than was asked for, by this factor, where its track is sure elsewhere.
FAINT = 0.6
_LOOK_SIDE = 8
#: Side that the smallest face should have on the detector's canvas, and how large that gets for its sake.
_SEEN_PX, _MOST_SIDE, _MOST_PICTURE_SIDE = 8.0, 960, 1920
#: What detectors have by themselves.
_USUAL_SIDE = 640


@dataclass(frozen=True, slots=True)
class EveryFrame:
    """The wanted frames of a chunk of a video; where others have seconds these have their tick, exactly.

    Attributes:
        path: the file.
        info: what the probe found.
        chunk: which frames.
        looks: thumbnails of the frames that were given, by tick.
    """

    path: Path
    info: VideoInfo
    chunk: Chunk
    looks: dict[int, bytes] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the upright frames."""
        return self.info.size

    def decoded(self, size: tuple[int, int] | None) -> Iterator[SampledFrame]:
        """Yield the frames with pixels of this size; None for that of the video."""
        convert = Converter(self.info, size)
        last: int | None = None
        for tick, frame in timed_frames(self.path, self.info, self.chunk.groups or ()):
            # The times of a damaged file may run backwards where its pictures do not.
            if last is None or tick > last:
                last = tick
                pixels = convert(frame)
                self.looks[tick] = look_of(pixels)
                yield SampledFrame(float(tick), pixels)


def large_side(size: tuple[int, int], min_face_px: float) -> int:
    """Return the longer side of the canvas on which faces of a film are looked for.

    One face that is overlooked spoils a film, so small ones are worth a larger canvas than a detector has by
    itself; where only large ones are to be hidden, 0 leaves it at that.
    """
    return _large_side(size, min_face_px, _MOST_SIDE)


def picture_side(size: tuple[int, int], min_face_px: float) -> int:
    """Return the longer side of the canvas on which small faces of a picture are looked for; 0 is none.

    A picture is looked at once: its canvas may be larger than a film's.
    """
    return _large_side(size, min_face_px, _MOST_PICTURE_SIDE)


def _large_side(size: tuple[int, int], min_face_px: float, most: int) -> int:
    longest = max(size)
    wanted = longest if min_face_px <= 0 else longest * _SEEN_PX / min_face_px
    side = int(min(wanted, longest, most))
    return side if side > _USUAL_SIDE else 0


def look_of(pixels: NDArray[np.uint8]) -> bytes:
    """Return a thumbnail in grey."""
    small = cv2.resize(pixels, (_LOOK_SIDE, _LOOK_SIDE), interpolation=cv2.INTER_AREA)
    return bytes(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).data)


async def find_faces(
    analyzer: ChunkAnalyzer, frames: EveryFrame | EveryPicture, options: FrameOptions
) -> bytes:
    """Return what is in the frames of a chunk, as `read_found` reads it.

    Raises:
        CallerError: the file cannot be used.
        Unavailable: the same may go well later.
    """
    return await packed(_found(analyzer, frames, options))


async def _found(
    analyzer: ChunkAnalyzer, frames: EveryFrame | EveryPicture, options: FrameOptions
) -> AsyncIterator[FoundFrame]:
    async for record in analyzer.records(frames, options):
        faces = tuple(
            Sighting(face.box, face.confidence, face.embedding, face.quality) for face in record.faces
        )
        tick = int(record.timestamp)
        yield FoundFrame(tick, faces, frames.looks.pop(tick))


async def packed(frames: AsyncIterator[FoundFrame]) -> bytes:
    """Return frames as bytes: a line of JSON each, compressed."""
    squeeze = zlib.compressobj(6)
    parts = []
    async for frame in frames:
        faces = [_entry(face) for face in frame.faces]
        line = json.dumps([frame.index, base64.b64encode(frame.look).decode(), faces], separators=(",", ":"))
        parts.append(squeeze.compress(line.encode() + b"\n"))
    return b"".join([*parts, squeeze.flush()])


def read_found(data: bytes, index_of: Callable[[int], int]) -> list[FoundFrame]:
    """Return what was found in a chunk.

    Args:
        data: as `find_faces` made it.
        index_of: tells the place of a frame among all from its tick.
    """
    found = []
    for line in zlib.decompress(data).splitlines():
        tick, look, faces = json.loads(line)
        sightings = tuple(map(_sighting, faces))
        found.append(FoundFrame(index_of(tick), sightings, base64.b64decode(look)))
    return found


def _entry(face: Sighting) -> list[Any]:
    entry: list[Any] = [*face.box, face.confidence]
    return [*entry, base64.b64encode(face.look).decode(), face.quality] if face.look else entry


def _sighting(entry: list[Any]) -> Sighting:
    x1, y1, x2, y2, score, *more = entry
    look, quality = more or ("", 0.0)
    return Sighting((x1, y1, x2, y2), score, base64.b64decode(look), quality)
