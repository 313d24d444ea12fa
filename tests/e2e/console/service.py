"""The app with its networks and its tasks in one process: `python -m tests.e2e.console.service FD`.

There is no Ray in it, so that it starts at once.

What the console shows is real: faces are found by the default networks, and videos are analysed here.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import TYPE_CHECKING

import uvicorn

from app.api import create_app
from app.libraries.opening import open_libraries
from app.logs import configure_logging
from app.services import open_services
from app.settings import load_settings
from app.tasks.image_work import ImagePipeline
from app.tasks.mask_image import MaskImagePipeline
from app.tasks.mask_jobs import FindJob, WriteAnimationJob, WriteChunkJob
from app.tasks.mask_video import MaskVideoPipeline
from app.tasks.opening import open_tasks
from app.tasks.values import TaskType
from app.tasks.video_work import VideoPipeline
from deployments.args import AppArgs
from deployments.networks import embedding_model, open_analyzer, open_network
from pipelines.attributes import Attribute
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.redact.find import find_faces
from pipelines.video.analyze_chunk import ChunkAnalyzer
from pipelines.video.records import write_record

if TYPE_CHECKING:
    from app.tasks.mask_jobs import MaskJob
    from app.tasks.ports import MaskPipeline, MediaPipeline
    from app.tasks.video_work import ChunkJob
    from pipelines.ports import Detector, Lane

OFFERED = (Attribute.AGE, Attribute.GENDER, Attribute.EMOTION, Attribute.POSE)


class HereExecutor:
    """Analyses the chunks of videos in this process."""

    def __init__(self, detector: Detector, lane: Lane) -> None:
        self._detector = detector
        self._lane = lane

    async def run(self, job: ChunkJob | MaskJob) -> bytes:
        """Return a chunk's record, or what came of a mask task's chunk."""
        if isinstance(job, (WriteChunkJob, WriteAnimationJob)):
            return await asyncio.to_thread(job.run)
        analyzer = ChunkAnalyzer(self._detector, self._lane)
        if isinstance(job, FindJob):
            return await find_faces(analyzer, job.frames, job.options)
        return write_record([record async for record in analyzer.records(job.frames, job.options)])


async def serve(descriptor: int) -> None:
    """Serve until told to stop."""
    settings = load_settings()
    args, lane = AppArgs(), ThreadLane(workers=1)
    engine = open_analyzer(args, settings, max_waiting=64)
    model = embedding_model(args, settings)
    assert model is not None
    detector = InlineDetector(open_network(args.detectors[0], args, settings), lane)
    pipelines: dict[TaskType, MediaPipeline] = {
        TaskType.IMAGE: ImagePipeline(engine),
        TaskType.VIDEO: VideoPipeline(HereExecutor(detector, lane)),
    }
    maskers: dict[TaskType, MaskPipeline] = {
        TaskType.IMAGE: MaskImagePipeline(engine),
        TaskType.VIDEO: MaskVideoPipeline(HereExecutor(detector, lane)),
    }
    async with (
        open_services(settings, engine) as services,
        open_tasks(services, pipelines, maskers=maskers, attributes=OFFERED) as tasks,
        open_libraries(services, model, uploads=tasks.uploads) as libraries,
    ):
        app = create_app(services, tasks=tasks, libraries=libraries)
        config = uvicorn.Config(app, log_level="error", access_log=False)
        await uvicorn.Server(config).serve([socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    configure_logging()
    # The server raises what stopped it once more when it is done; then the rest is still to be closed.
    signal.signal(signal.SIGTERM, lambda *_: None)
    asyncio.run(serve(int(sys.argv[1])))
