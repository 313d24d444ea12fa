"""Door two over the fake engine as a process of its own: `python -m tests.app.tasks.service FD`."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import TYPE_CHECKING

import uvicorn

from app.api import create_app
from app.logs import configure_logging
from app.services import open_services
from app.settings import load_settings
from app.tasks.image_work import ImagePipeline
from app.tasks.mask_animation import MaskAnimationPipeline
from app.tasks.mask_image import MaskImagePipeline
from app.tasks.mask_video import MaskVideoPipeline
from app.tasks.opening import open_tasks
from app.tasks.runner import RunnerPace
from app.tasks.values import TaskType
from pipelines.attributes import Attribute
from tests.app.tasks.disc_masking import DiscMasker
from tests.fakes.engine import FakeEngine

if TYPE_CHECKING:
    from app.tasks.ports import MaskPipeline


async def serve(descriptor: int) -> None:
    """Serve until told to stop."""
    engine = FakeEngine(remembers=False)
    pipelines = {TaskType.IMAGE: ImagePipeline(engine)}
    maskers: dict[TaskType, MaskPipeline] = {
        TaskType.IMAGE: MaskImagePipeline(engine),
        TaskType.VIDEO: MaskVideoPipeline(DiscMasker(), 0.001),
        TaskType.GIF: MaskAnimationPipeline(DiscMasker()),
    }
    async with (
        open_services(load_settings(), engine) as services,
        open_tasks(
            services,
            pipelines,
            maskers=maskers,
            attributes=[Attribute.AGE],
            pace=RunnerPace(lease_s=3.0),
        ) as tasks,
    ):
        config = uvicorn.Config(create_app(services, tasks=tasks), log_level="error", access_log=False)
        await uvicorn.Server(config).serve([socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    configure_logging()
    # The server raises what stopped it once more when it is done; then the rest is still to be closed.
    signal.signal(signal.SIGTERM, lambda *_: None)
    asyncio.run(serve(int(sys.argv[1])))
