"""The use case of one chunk: sampled frames in, the record of what was found in each out.

    frames -> [lane: next, laid out] -> canvases -> detector -> faces -> what each shows, and who it may be
                                '-> several frames wait for their answers, where networks are elsewhere

Decoding happens on the lane; with everything in one process that is the calling thread, and no time is lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.canvas import CanvasPool
from pipelines.errors import DependencyDown
from pipelines.looks import SMALL_SIDE, candidates_of, faces_of, lay_out, looks_at
from pipelines.metrics import FACES, FRAMES
from pipelines.video.animation import animation_frames
from pipelines.video.decode import sampled_frames
from pipelines.video.records import frame_record, is_embedded, large_enough

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from pipelines.attributes import Attribute, FaceAttributes
    from pipelines.embed_faces import EmbeddedFaces, FaceEmbedder
    from pipelines.faces import Faces
    from pipelines.looks import Looks
    from pipelines.ports import AttributeReader, Detector, Lane
    from pipelines.video.animation import AnimationInfo
    from pipelines.video.decode import SampledFrame
    from pipelines.video.plan import Chunk
    from pipelines.video.probe import VideoInfo
    from pipelines.video.records import FrameRecord
    from pipelines.video.sampling import Sampling

NMS_THRESHOLD = 0.4


@dataclass(frozen=True, slots=True)
class FrameOptions:
    """What is asked of each frame.

    Attributes:
        confidence: of the detector, at least.
        min_face_px: for the shorter side of a face.
        attributes: what is told of each face.
        large_side: longer side of the canvas that the detector looks at; 0 is its own.
        embed: that faces become vectors, in as many frames as it takes to know who it is.
        tick_s: seconds of one unit of the frames' times.
    """

    confidence: float = 0.5
    min_face_px: float = 0
    attributes: frozenset[Attribute] = frozenset()
    large_side: int = 0
    embed: bool = False
    tick_s: float = 1.0


class Decodable(Protocol):
    """Frames that can be decoded here."""

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the upright frames."""

    def decoded(self, size: tuple[int, int] | None) -> Iterator[SampledFrame]:
        """Yield the frames with pixels of this size; None for that of the media."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Sampled frames that can be decoded here.

    Attributes:
        path: the file.
        size: width and height of its upright frames.
        sampling: which frames are asked for.
        media: what the file is; for a video, with the part of it.
    """

    path: Path
    size: tuple[int, int]
    sampling: Sampling
    media: AnimationInfo | tuple[VideoInfo, Chunk]

    def decoded(self, size: tuple[int, int] | None) -> Iterator[SampledFrame]:
        """Yield the frames with pixels of this size; None for that of the media."""
        if isinstance(self.media, tuple):
            return sampled_frames(self.path, *self.media, size)
        return animation_frames(self.path, self.media, self.sampling, size)


@dataclass(frozen=True, slots=True)
class _Seen:
    timestamp: float
    canvases: tuple[NDArray[np.uint8], ...]
    pixels: NDArray[np.uint8] | None


class ChunkAnalyzer:
    """Finds the faces of sampled frames, and what each of them shows.

    Args:
        detector: who finds them.
        lane: where pixels are worked on.
        reader: tells what faces show; None where nothing is to be told.
        tell: how what a face shows is written down.
        small_side: the longer side of the second canvas; 0 looks at the large canvas alone.
        square: feed the detector its whole input square.
        at_once: frames that may wait for their answers at the same time; more than one only pays where the
            networks are elsewhere.
        embedder: turns faces into vectors; None where nobody is to be recognised.
    """

    def __init__(  # noqa: PLR0913 - the parts it is made of, by name
        self,
        detector: Detector,
        lane: Lane,
        reader: AttributeReader | None = None,
        tell: Callable[[FaceAttributes], Mapping[str, Any]] | None = None,
        *,
        small_side: int = SMALL_SIDE,
        square: bool = False,
        at_once: int = 1,
        embedder: FaceEmbedder | None = None,
    ) -> None:
        self._detector = detector
        self._lane = lane
        self._reader = reader
        self._tell = tell
        self._small_side = small_side
        self._square = square
        self._at_once = at_once
        self._embedder = embedder
        self._canvases = CanvasPool()

    async def records(self, frames: Decodable, options: FrameOptions) -> AsyncIterator[FrameRecord]:
        """Yield the record of each frame, in order.

        Raises:
            CallerError: the file or an option cannot be used.
            Unavailable: the same may go well later.
        """
        is_close = bool(options.attributes) or options.embed
        if options.attributes and self._reader is not None:
            self._reader.check(options.attributes)
        looks = looks_at(
            frames.size,
            self._detector.spec,
            self._small_side,
            square=self._square,
            large_side=options.large_side,
        )
        # Frames that are only looked for faces are scaled in the step that converts them.
        scales_down = not is_close and looks.large.scale < 1
        decoded = frames.decoded(looks.large.picture if scales_down else None)
        waiting: deque[asyncio.Task[FrameRecord]] = deque()
        last_s: float | None = None
        try:
            while (seen := await self._lane.run(self._next, decoded, looks, is_close)) is not None:
                at_s = seen.timestamp * options.tick_s
                embeds = options.embed and is_embedded(at_s, last_s)
                last_s = at_s
                if self._at_once == 1:
                    yield await self._record(seen, looks, options, embeds)
                    continue
                waiting.append(asyncio.create_task(self._record(seen, looks, options, embeds)))
                if len(waiting) >= self._at_once:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def _next(
        self,
        decoded: Iterator[SampledFrame],
        looks: Looks,
        keeps_pixels: bool,  # noqa: FBT001 - the lane passes positions on
    ) -> _Seen | None:
        frame = next(decoded, None)
        if frame is None:
            return None
        canvases = lay_out(frame.pixels, looks, self._canvases)
        return _Seen(frame.timestamp, canvases, frame.pixels if keeps_pixels else None)

    async def _record(
        self,
        seen: _Seen,
        looks: Looks,
        options: FrameOptions,
        embeds: bool,  # noqa: FBT001 - of this frame
    ) -> FrameRecord:
        proposals = await self._detector.propose(seen.canvases, options.confidence)
        for canvas in seen.canvases:
            self._canvases.give(canvas)
        found = faces_of(candidates_of(proposals, looks), NMS_THRESHOLD)
        faces = large_enough(found, options.min_face_px)
        FRAMES.add(1)
        FACES.add(len(faces), "video")
        told: Sequence[Mapping[str, Any]] = ()
        if options.attributes and self._reader and self._tell and seen.pixels is not None:
            shown = await self._reader.read(seen.pixels, faces, options.attributes)
            told = [self._tell(each) for each in shown]
        embedded = await self._embedded(seen, faces) if embeds and len(faces) else None
        return frame_record(seen.timestamp, faces, told, embedded)

    async def _embedded(self, seen: _Seen, faces: Faces) -> EmbeddedFaces:
        if self._embedder is None or seen.pixels is None:
            message = "this service has no network that recognises faces"
            raise DependencyDown(message)
        return await self._embedder.embed(seen.pixels, faces)
