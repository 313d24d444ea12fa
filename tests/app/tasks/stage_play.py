"""Videos of people in plain colours, analysed in this process: who is who is told by the colour.

Everything between is real: chunks, records, tracks, looks, votes. Colours stand for SFace's vectors, of which
those of one person lie as close to each other as on LFW.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import cv2
import numpy as np

from pipelines.embed_faces import EmbeddedFaces
from pipelines.faces import Faces
from pipelines.lane import HereLane
from pipelines.ports import DetectorSpec, Proposals
from pipelines.video.analyze_chunk import ChunkAnalyzer
from pipelines.video.records import write_record
from tests.app.libraries.speaking_pictures import SPACE, vector_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from app.tasks.video_work import ChunkJob

SIZE = (160, 96)
FPS = 20
#: Blue, green, red; far enough apart for any encoder.
COLOURS = {"anna": (20, 20, 235), "ben": (235, 40, 20), "zoe": (20, 220, 30), "yan": (220, 30, 220)}
_SIDE = 20


@dataclass(frozen=True, slots=True)
class Scene:
    """Somebody who walks through the picture from `start_s` to `end_s`, at this height."""

    who: str
    start_s: float
    end_s: float
    y: int = 20


def drawn(scenes: Sequence[Scene], at_s: float) -> NDArray[np.uint8]:
    """Return what is to be seen at a time."""
    picture = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    for scene in scenes:
        if scene.start_s <= at_s < scene.end_s:
            x = int(10 + 18 * (at_s - scene.start_s))
            corner = (x + _SIDE, scene.y + _SIDE)
            cv2.rectangle(picture, (x, scene.y), corner, COLOURS[scene.who], -1)
    return picture


def play(scenes: Sequence[Scene], seconds: float, path: Path) -> bytes:
    """Return a video of it."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = cast("VideoStream", container.add_stream("libx264", rate=FPS))
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = FPS // 2
        stream.codec_context.time_base = Fraction(1, FPS)
        stream.codec_context.thread_count = 1
        for index in range(int(seconds * FPS)):
            frame = av.VideoFrame.from_ndarray(drawn(scenes, index / FPS), format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


class ColourDetector:
    """Finds what is in colour."""

    spec = DetectorSpec("colours", SIZE, has_points=False)

    async def propose(self, canvases: Sequence[NDArray[np.uint8]], confidence: float) -> list[Proposals]:
        """Return each patch of colour."""
        assert 0 <= confidence <= 1
        return [Proposals(_patches(canvas), 0.0, 0.0, 0.0, 1) for canvas in canvases]


def _patches(pixels: NDArray[np.uint8]) -> Faces:
    is_coloured = (np.ptp(pixels.astype(int), axis=2) > 90).astype(np.uint8)
    _, _, found, _ = cv2.connectedComponentsWithStats(is_coloured)
    boxes = [[x, y, x + width, y + height] for x, y, width, height, area in found[1:] if area > 100]
    return Faces(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.9, np.float32), None)


class ColourEmbedder:
    """Knows who wears which colour; no two looks are the same."""

    space = SPACE

    def __init__(self) -> None:
        self.faces = 0

    async def embed(self, pixels: NDArray[np.uint8], faces: Faces) -> EmbeddedFaces:
        """Return how each looks."""
        self.faces += len(faces)
        vectors, qualities = [], []
        for x1, y1, x2, y2 in faces.boxes.astype(int).tolist():
            seen = pixels[y1:y2, x1:x2].reshape(-1, 3).mean(axis=0)
            who = min(COLOURS, key=lambda name: float(np.abs(seen - COLOURS[name]).sum()))
            vectors.append(vector_of(who, x1))
            qualities.append([0.3 + 0.6 * (x1 % 7) / 7] * 5)
        return EmbeddedFaces(
            np.array(vectors, np.float32).reshape(-1, 128),
            np.array(qualities, np.float64).reshape(-1, 5),
            np.full(len(faces), 0.5),
        )


class PlayExecutor:
    """Analyses chunks in this process."""

    def __init__(self) -> None:
        self.runs = 0
        self.embedder = ColourEmbedder()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def run(self, job: ChunkJob) -> bytes:
        """Return the chunk's record."""
        await self.go_on.wait()
        self.runs += 1
        analyzer = ChunkAnalyzer(ColourDetector(), HereLane(), small_side=0, embedder=self.embedder)
        return write_record([record async for record in analyzer.records(job.frames, job.options)])
