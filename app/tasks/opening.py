"""Open everything that door two's tasks stand on, for this process, and close it in reverse.

open_tasks(services, pipelines) -> Tasks: what the routes use, with a runner and a deliverer in this process
open_tasks(services, wake=...)  -> Tasks: what the routes use, where other processes run what they accept
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from app.errors import NotOffered
from app.intake.buckets import BucketSender
from app.intake.fetching import Intake
from app.intake.uploaded import UploadSender
from app.intake.web import WebSender
from app.logs import log_bug
from app.net.allowing import AllowList
from app.net.open import open_outbound
from app.plans import Plans
from app.services import s3_access
from app.storage.s3 import s3_client
from app.storage.s3_multipart import S3Multipart
from app.tasks.deliveries import Deliverer
from app.tasks.levels import measure_for_ever
from app.tasks.objects import TaskObjects, UrlOptions
from app.tasks.queue import TaskQueue
from app.tasks.retention import remove_old
from app.tasks.runner import RunnerPace, TaskRunner
from app.tasks.running import Workshop, usual_limits
from app.tasks.scratch import Scratch
from app.tasks.signing import TextSigner
from app.tasks.store import TaskStore
from app.tasks.uploads import Uploads
from app.tasks.values import ANYONE, TaskType
from app.webhooks.sending import WebhookSender
from pipelines.errors import Unavailable

if TYPE_CHECKING:
    import uuid
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from app.intake.port import FetchLimits, MediaSource, Sender
    from app.persistence import Persistence
    from app.services import Services
    from app.settings import Settings
    from app.tasks.import_work import PeopleImport
    from app.tasks.ports import MaskPipeline, MediaPipeline
    from pipelines.attributes import Attribute

MAINTAIN_EVERY_S = 60.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tasks:
    """What the routes of door two stand on.

    Attributes:
        store: the tasks.
        uploads: files sent in parts; None where nothing is kept.
        deliverer: webhooks, also those of the past.
        intake: looks at media addresses when they are handed in.
        allow: hosts that the operator opened.
        plans: the limits of keys.
        types: media that can be analysed.
        attributes: what can be told of faces here.
        mask_types: media that can be masked.
        objects: what tasks make; None where nothing is kept.
        runner: takes tasks up in this process; None where others do.
        others: told where another process is to look for work.
    """

    store: TaskStore
    uploads: Uploads | None
    deliverer: Deliverer
    intake: Intake
    allow: AllowList
    plans: Plans
    types: frozenset[TaskType]
    attributes: frozenset[Attribute]
    mask_types: frozenset[TaskType]
    objects: TaskObjects | None
    runner: TaskRunner | None
    others: Callable[[], None]

    def wake(self) -> None:
        """Say that a task came, or that one ended."""
        if self.runner is not None:
            self.runner.wake()
            self.deliverer.wake()
        self.others()


@asynccontextmanager
async def open_tasks(
    services: Services,
    pipelines: Mapping[TaskType, MediaPipeline] | None = None,
    *,
    maskers: Mapping[TaskType, MaskPipeline] | None = None,
    importer: PeopleImport | None = None,
    attributes: Collection[Attribute] = (),
    wake: Callable[[], None] = lambda: None,
    pace: RunnerPace | None = None,
) -> AsyncIterator[Tasks]:
    """Open the tasks of this process; leaving the block gives unfinished ones back to the queue.

    Args:
        services: the app's, with a database.
        pipelines: who analyses which type of media; None where this process neither takes tasks up nor
            delivers webhooks, but others of the same database do.
        maskers: who masks which type of media.
        importer: who enrols lists of people.
        attributes: what can be told of faces here.
        wake: tells those others to look for work; they look by themselves too, only later.
        pace: how often things are done; for tests.

    Raises:
        NotOffered: there is no database.
    """
    memory, settings = services.memory, services.settings
    if memory is None:
        message = "tasks need the database"
        raise NotOffered(message)
    database = memory.database
    plans = Plans(settings.plans)
    signer = TextSigner(database)
    objects = _objects(memory, settings)
    store = TaskStore(database, signer, objects=objects)
    queue = TaskQueue(database, plans)
    async with AsyncExitStack() as stack:
        outbound = stack.enter_context(open_outbound(settings.fetch_allow, settings.fetch_ca_file))
        shared: dict[str, Sender] = {
            "http": WebSender(outbound),
            "https": WebSender(outbound),
        }
        if settings.fetch_s3_buckets:
            client = s3_client(s3_access(settings))
            stack.callback(client.close)
            buckets = BucketSender(client, settings.fetch_s3_buckets)
            stack.push_async_callback(buckets.close)
            shared["s3"] = buckets
        uploads = None
        if memory.storage is not None:
            multipart = None
            if settings.s3_bucket is not None:
                multipart = S3Multipart(s3_access(settings))
                stack.push_async_callback(multipart.close)
            storage = memory.storage
            uploads = Uploads(database, storage.place, storage.cleanup, signer, multipart)

        def source_for(owner: uuid.UUID) -> Intake:
            if uploads is None:
                return Intake(shared)
            return Intake({**shared, "upload": UploadSender(partial(uploads.open, owner))})

        def source(owner: uuid.UUID) -> MediaSource:
            return source_for(owner)

        deliverer = Deliverer(database, store, memory.keys, WebhookSender(outbound))
        runner = None
        if pipelines is not None:
            scratch = Scratch(settings.home / "scratch")
            shop = Workshop(
                queue,
                source,
                pipelines,
                scratch,
                limits=partial(_limits, settings),
                maskers=maskers or {},
                objects=objects,
                importer=importer,
            )
            pace = pace or RunnerPace(slots=settings.task_slots)
            runner = TaskRunner(shop, pace, on_end=deliverer.wake)
        tasks = Tasks(
            store,
            uploads,
            deliverer,
            source_for(ANYONE),
            AllowList.read(settings.fetch_allow),
            plans,
            frozenset(TaskType if pipelines is None else pipelines),
            frozenset(attributes) - frozenset(settings.attributes_disabled),
            frozenset(TaskType if pipelines is None else maskers or ()),
            objects,
            runner,
            wake,
        )
        if runner is not None:
            await deliverer.start()
            stack.push_async_callback(deliverer.close)
            await runner.start()
            stack.push_async_callback(runner.close)
            measuring = asyncio.create_task(measure_for_ever(database))
            stack.push_async_callback(_ended, measuring)
            keeping_tidy = asyncio.create_task(_keep_tidy(tasks, settings.retention_days))
            stack.push_async_callback(_ended, keeping_tidy)
        yield tasks


def _objects(memory: Persistence, settings: Settings) -> TaskObjects | None:
    if memory.storage is None:
        return None
    urls = UrlOptions(settings.object_url_ttl_s, settings.public_url or "")
    return TaskObjects(memory.database, memory.storage.place, memory.storage.cleanup, urls)


def _limits(settings: Settings, kind: TaskType) -> FetchLimits:
    return replace(usual_limits(kind), total_s=settings.fetch_timeout_s, stall_s=settings.fetch_stall_s)


async def _keep_tidy(tasks: Tasks, retention_days: int | None) -> None:
    while True:
        try:
            await tasks.store.forget_old_keys()
            if retention_days is not None:
                await remove_old(tasks.store, tasks.uploads, timedelta(days=retention_days))
            if tasks.uploads is not None:
                await tasks.uploads.remove_expired()
        except Unavailable as error:
            log.warning("tidying tasks waits", reason=error.message)
        except Exception as error:  # noqa: BLE001 - the next time may go better
            log_bug("tidying tasks stumbled", error)
        await asyncio.sleep(MAINTAIN_EVERY_S)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
