"""One task from its claim to its end.

    fetch to scratch -> open -> plan -> chunks, some at once, each kept as it is done -> merged in order
    -> pages of the result -> the end, with who is to be told

Chunks that an earlier runner finished are not done again, as long as the media is the same, byte for byte.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import structlog

from app.errors import answer_for
from app.intake.port import FetchLimits
from app.logs import log_bug, traced
from app.tasks.paging import PageFiller
from app.tasks.patience import patiently
from app.tasks.ports import StagedWork, WorkerDied
from app.tasks.queue import FRAMES, MOST_TRIES, PERSONS, POISON, TRACKS, LeaseLost
from app.tasks.values import TaskFailure, TaskType, task_text
from pipelines.errors import FacefleetError, SwitchedOff
from pipelines.metrics import LEASES_LOST, TASKS_ENDED, WORKERS_DIED

if TYPE_CHECKING:
    import uuid
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from app.intake.port import MediaSource
    from app.tasks.import_work import PeopleImport
    from app.tasks.objects import TaskObjects
    from app.tasks.paging import Page
    from app.tasks.ports import MaskPipeline, MediaPipeline, MediaWork
    from app.tasks.queue import TaskQueue
    from app.tasks.scratch import Scratch
    from app.tasks.values import Claim

MOST_BYTES = {
    TaskType.IMAGE: 50_000_000,
    TaskType.GIF: 200_000_000,
    TaskType.VIDEO: 2_000_000_000,
    TaskType.IMPORT: 2_000_000_000,
}
#: Chunks of one task that are on their way; who analyses them takes turns among tasks.
CHUNKS_AT_ONCE = 64

log = structlog.get_logger(__name__)


class _Poisoned(Exception):
    """Whoever analyses this media dies of it."""


def usual_limits(kind: TaskType) -> FetchLimits:
    """Return when fetching is given up unless the operator says otherwise."""
    return FetchLimits(max_bytes=MOST_BYTES[kind])


@dataclass(frozen=True, slots=True)
class Workshop:
    """What running a task takes.

    Attributes:
        queue: where the task is from.
        sources: what an owner's addresses are fetched by.
        pipelines: who analyses which type of media.
        scratch: where media lies meanwhile.
        chunks_at_once: how many chunks of one task are analysed side by side.
        limits: when fetching media of a type is given up.
        maskers: who masks which type of media.
        objects: where is kept what they make.
        importer: who enrols lists of people; None where nobody is recognised.
    """

    queue: TaskQueue
    sources: Callable[[uuid.UUID], MediaSource]
    pipelines: Mapping[TaskType, MediaPipeline]
    scratch: Scratch
    chunks_at_once: int = CHUNKS_AT_ONCE
    limits: Callable[[TaskType], FetchLimits] = usual_limits
    maskers: Mapping[TaskType, MaskPipeline] = field(default_factory=dict)
    objects: TaskObjects | None = None
    importer: PeopleImport | None = None


async def run_task(shop: Workshop, claim: Claim) -> None:
    """Do a task to its end, whatever that is.

    Being cancelled leaves the task as it is, and nothing of it on this machine. Every line that is written
    meanwhile bears the id of the request that made the task.
    """
    with traced(claim.task.request_id):
        await _run(shop, claim)


async def _run(shop: Workshop, claim: Claim) -> None:
    name, kind = task_text(claim.task.id), claim.task.type.value
    log.info("task taken up", task=name, type=kind)
    begun = time.monotonic()
    try:
        with shop.scratch.folder() as folder:
            failure = await _attempt(shop, claim, folder)
        if failure is not None:
            await patiently(lambda: shop.queue.fail(claim, failure))
        outcome = "succeeded" if failure is None else "failed"
        TASKS_ENDED.add(1, kind, outcome)
        log.info("task ended", task=name, outcome=outcome, ms=round((time.monotonic() - begun) * 1e3))
    except LeaseLost:
        LEASES_LOST.add(1)
        log.info("task given up: it is another's now, or nobody's", task=name)


async def _attempt(shop: Workshop, claim: Claim, folder: Path) -> TaskFailure | None:
    try:
        await _analyse(shop, claim, folder)
    except _Poisoned:
        return POISON
    except LeaseLost:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the task must end
        if not isinstance(error, FacefleetError):
            log_bug("task failed", error, task=task_text(claim.task.id))
        answer = answer_for(error, "/v1/")
        return TaskFailure(answer.code, answer.message)
    return None


async def _analyse(shop: Workshop, claim: Claim, folder: Path) -> None:
    task, queue = claim.task, shop.queue
    limits = shop.limits(task.type)
    source = shop.sources(task.owner)
    fetched = await patiently(lambda: source.fetch(task.media_url, folder / "media", limits))
    work = await patiently(lambda: _open(shop, claim, fetched.path))
    stored = await patiently(lambda: queue.put_plan(claim, fetched.sha256, work.plan))
    todo = [each.chunk.number for each in stored if not each.is_done]
    stages = work.stages if isinstance(work, StagedWork) else (range(len(stored)),)
    for stage, numbers in enumerate(stages):
        left = [number for number in todo if number in numbers]
        await _side_by_side(partial(_do_chunk, shop, claim, work), left, shop.chunks_at_once)
        if isinstance(work, StagedWork):
            await patiently(partial(work.stage_done, stage, partial(_outcome, queue, claim)))
    await _merge(shop, claim, work)


async def _open(shop: Workshop, claim: Claim, path: Path) -> MediaWork:
    task = claim.task
    if task.type is TaskType.IMPORT:
        if shop.importer is None:
            message = "enrolment needs an embedding network, which is not there"
            raise SwitchedOff(message)
        return await shop.importer.open(path, task, shop.sources(task.owner))
    if task.options.mask is None:
        return await shop.pipelines[task.type].open(path, task.options, task.owner)
    if shop.objects is None:
        message = "masked media needs the storage, which is switched off"
        raise SwitchedOff(message)
    keeper = shop.objects.keeper(claim)
    return await shop.maskers[task.type].open(path, task.options, task.owner, keeper)


async def _outcome(queue: TaskQueue, claim: Claim, number: int) -> bytes:
    return await patiently(lambda: queue.outcome(claim, number))


async def _do_chunk(shop: Workshop, claim: Claim, work: MediaWork, number: int) -> None:
    while True:
        try:
            outcome = await patiently(lambda: work.analyse(number))
            break
        except WorkerDied:
            WORKERS_DIED.add(1)
            deaths = await patiently(lambda: shop.queue.count_death(claim, number))
            log.warning("a worker died", task=task_text(claim.task.id), chunk=number, deaths=deaths)
            if deaths >= MOST_TRIES:
                raise _Poisoned from None
    await patiently(lambda: shop.queue.put_chunk(claim, number, outcome))


async def _merge(shop: Workshop, claim: Claim, work: MediaWork) -> None:
    """Read one chunk after the other, so that no more than one is ever in memory."""
    queue, merging, filler = shop.queue, work.merging(), PageFiller()
    done = 0
    for number in range(len(work.plan.chunks)):
        outcome = await _outcome(queue, claim, number)
        pages = await asyncio.to_thread(_filled, filler, merging.add, outcome)
        if pages:
            await patiently(partial(queue.put_pages, claim, FRAMES, done, pages))
            done += len(pages)
    merged = await asyncio.to_thread(merging.finish)
    last = (
        (FRAMES, done, list(filler.rest())),
        (TRACKS, 0, _pages_of(merged.tracks)),
        (PERSONS, 0, _pages_of(merged.persons or ())),
    )
    await patiently(
        lambda: queue.succeed(
            claim, merged.summary, last, work.plan.billed_s, output=merged.output, named=merged.named
        )
    )


def _pages_of(entries: Iterable[Mapping[str, object]]) -> list[Page]:
    filler = PageFiller()
    return [*filler.add(entries), *filler.rest()]


def _filled(
    filler: PageFiller, add: Callable[[bytes], Iterable[Mapping[str, object]]], outcome: bytes
) -> list[Page]:
    return list(filler.add(add(outcome)))


async def _side_by_side(work: Callable[[int], Awaitable[None]], numbers: Sequence[int], at_once: int) -> None:
    """Do all of it, some at once; the first that fails ends the others."""
    waiting = iter(numbers)

    async def worker() -> None:
        for number in waiting:
            await work(number)

    workers = [asyncio.create_task(worker()) for _ in range(min(at_once, len(numbers)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for each in workers:
            each.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
