"""Chunks of mask tasks done in this process: the disc of the rendered videos is the face."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from app.tasks.mask_jobs import FindJob
from app.tasks.ports import WorkerDied
from pipelines.faces import Faces
from pipelines.lane import HereLane
from pipelines.ports import DetectorSpec, Proposals
from pipelines.redact.find import find_faces
from pipelines.video.analyze_chunk import ChunkAnalyzer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from app.tasks.mask_jobs import MaskJob


class DiscDetector:
    """Finds what is as light as the disc."""

    spec = DetectorSpec("disc", (96, 96), has_points=False)

    async def propose(self, canvases: Sequence[NDArray[np.uint8]], confidence: float) -> list[Proposals]:
        """Return at most one face for each canvas."""
        assert 0 <= confidence <= 1
        return [Proposals(disc(canvas), 0.0, 0.0, 0.0, 1) for canvas in canvases]


def disc(pixels: NDArray[np.uint8]) -> Faces:
    """Return the disc as a face."""
    rows, columns = np.nonzero(pixels[:, :, 1] > 245)
    if len(rows) < 20:
        return Faces.none(with_points=False)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return Faces(np.array([box], np.float32), np.array([0.9], np.float32), None)


class DiscMasker:
    """Does chunks of both passes, or dies of them.

    Args:
        deaths: how many chunks are died of before one is done.
    """

    def __init__(self, deaths: int = 0) -> None:
        self.deaths = deaths
        self.done: list[str] = []

    async def run(self, job: MaskJob) -> bytes:
        """Do a chunk."""
        if self.deaths:
            self.deaths -= 1
            message = "killed"
            raise WorkerDied(message)
        self.done.append("find" if isinstance(job, FindJob) else "write")
        if isinstance(job, FindJob):
            analyzer = ChunkAnalyzer(DiscDetector(), HereLane(), small_side=0)
            return await find_faces(analyzer, job.frames, job.options)
        return await asyncio.to_thread(job.run)
