"""A replica that runs tasks: takes them up, has them analysed, and tells whoever wants to know."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from app.libraries.opening import open_recognizer
from app.logs import configure_logging
from app.services import open_services
from app.settings import load_settings
from app.tasks.image_work import ImagePipeline
from app.tasks.importing import people_import
from app.tasks.mask_animation import MaskAnimationPipeline
from app.tasks.mask_image import MaskImagePipeline
from app.tasks.mask_video import MaskVideoPipeline
from app.tasks.opening import open_tasks
from app.tasks.values import TaskType
from app.tasks.video_work import AnimationPipeline, VideoPipeline
from deployments.backlog import unfinished_tasks
from deployments.chunk_tasks import ChunkNetworks, RayChunks
from deployments.engine import open_engine
from deployments.health import refuse_unready
from deployments.metrics import export_metrics
from deployments.networks import embedding_model, offered_attributes
from pipelines.lane import give_back_memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.libraries.recognition import Recognizer
    from app.services import Services
    from app.settings import Settings
    from app.tasks.opening import Tasks
    from app.tasks.ports import MaskPipeline, MediaPipeline
    from deployments.args import AppArgs
    from pipelines.ports import ImageEngine


class TaskRunner:
    """Runs tasks for as long as it lives; what it leaves behind, another takes up.

    Of a service that is taken out of work it takes none up, and sends no webhook.

    Args:
        args: the service's shape.
        detector: the pool of the default detector, where there is one: videos are decoded elsewhere, and
            their frames are looked at there.
        crops: the attribute pool, where there is one.
        stage: the decode stage of pictures, where it has replicas of its own.
        attributes: the attribute pool, where pictures are decoded here.
        pools: detector pools by network name, where pictures are decoded here.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it: stage and pools are asked what they are
        self,
        args: AppArgs,
        detector: Any = None,  # noqa: ANN401 - handles have no types
        crops: Any = None,  # noqa: ANN401 - as above
        stage: Any = None,  # noqa: ANN401 - as above
        attributes: Any = None,  # noqa: ANN401 - as above
        **pools: Any,  # noqa: ANN401 - as above
    ) -> None:
        configure_logging()
        self._closing = AsyncExitStack()
        self._own: ImageEngine | None = None
        self._tasks: Tasks | None = None
        if not args.draining:
            await self._open(args, ChunkNetworks(args, detector, crops), stage, attributes, pools)
        export_metrics("tasks")
        give_back_memory()

    async def _open(
        self,
        args: AppArgs,
        networks: ChunkNetworks,
        stage: Any,  # noqa: ANN401 - handles have no types
        attributes: Any,  # noqa: ANN401 - as above
        pools: Mapping[str, Any],
    ) -> None:
        """Begin to take tasks up."""
        settings = load_settings()
        # Most tasks do not ask who it is: the network for that is opened with the first that does.
        engine, self._own = await open_engine(args, settings, stage, attributes, pools, embeds_late=True)
        services = await self._closing.enter_async_context(open_services(settings, engine))
        people = await self._open_people(args, settings, services)
        chunks = RayChunks(networks)
        pipelines: dict[TaskType, MediaPipeline] = {
            TaskType.IMAGE: ImagePipeline(engine, people),
            TaskType.VIDEO: VideoPipeline(chunks, args.chunks.work_s, people),
            TaskType.GIF: AnimationPipeline(chunks, people),
        }
        maskers: dict[TaskType, MaskPipeline] = {
            TaskType.IMAGE: MaskImagePipeline(engine, people),
            TaskType.VIDEO: MaskVideoPipeline(chunks, args.chunks.work_s, people),
            TaskType.GIF: MaskAnimationPipeline(chunks, people),
        }
        self._tasks = await self._closing.enter_async_context(
            open_tasks(
                services,
                pipelines,
                maskers=maskers,
                importer=people_import(services, people),
                attributes=offered_attributes(args, settings),
            )
        )

    async def _open_people(self, args: AppArgs, settings: Settings, services: Services) -> Recognizer | None:
        """Return who knows people; None where there is no network for that."""
        model = embedding_model(args, settings)
        if model is None or services.memory is None:
            return None
        return await self._closing.enter_async_context(
            open_recognizer(services.memory.database, model, settings.gallery_max_bytes)
        )

    async def wake(self) -> None:
        """Look for work now: a task came, or one was cancelled."""
        if self._tasks is not None:
            self._tasks.wake()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Tell Serve's autoscaler how many tasks wait or run."""
        return unfinished_tasks()

    async def check_health(self) -> None:
        """Have Serve replace a replica whose lane does not come back.

        Raises:
            DependencyDown: it is stuck.
        """
        if self._own is not None:
            await refuse_unready(self._own)

    async def __del__(self) -> None:
        """Give unfinished tasks back; Serve calls this before it lets the replica go."""
        await self._closing.aclose()
