"""Takes up tasks for as long as the process lives, and drops those that were taken from it.

pick up: a free slot -> a claim -> a task of this loop
beat:    the claims' runner lives
look:    which claims still hold (cancelled, deleted: stopped at once); whose runner is lost
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from app.logs import log_bug
from app.tasks.running import run_task
from app.tasks.values import task_text
from app.tasks.watch import LEASE_S, Watch
from pipelines.errors import Unavailable
from pipelines.metrics import LEASES_LOST, TASKS_TAKEN

if TYPE_CHECKING:
    import uuid
    from collections.abc import Awaitable, Callable

    from app.tasks.queue import Beat
    from app.tasks.running import Workshop
    from app.tasks.values import Claim

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunnerPace:
    """How often things are done, in seconds; `slots` is how many tasks run at once.

    New tasks are told of at once; looking for them is for those that nobody told of.
    """

    slots: int = 4
    lease_s: float = LEASE_S
    poll_s: float = 1.0
    check_s: float = 1.0

    @property
    def beat_s(self) -> float:
        """Return how often a sign of life is given."""
        return self.lease_s / 5


class TaskRunner:
    """Runs tasks in this process.

    Args:
        shop: what running a task takes.
        pace: how often things are done.
        on_end: called when a task has ended.
    """

    def __init__(
        self, shop: Workshop, pace: RunnerPace | None = None, on_end: Callable[[], None] = lambda: None
    ) -> None:
        self._on_end = on_end
        self._shop = shop
        self._pace = pace or RunnerPace()
        self._name = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._watch = Watch(self._pace.lease_s)
        self._lost: list[Beat] = []
        self._working: dict[uuid.UUID, tuple[Claim, asyncio.Task[None]]] = {}
        self._wake = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin; what dead processes left in the scratch folder is removed."""
        await asyncio.to_thread(self._shop.scratch.open)
        pace = self._pace
        self._loops = [
            asyncio.create_task(_for_ever(self._pick_up, self._until_woken)),
            asyncio.create_task(_for_ever(self._beat, lambda: asyncio.sleep(pace.beat_s))),
            asyncio.create_task(_for_ever(self._check, lambda: asyncio.sleep(pace.check_s))),
            asyncio.create_task(_for_ever(self._look, lambda: asyncio.sleep(pace.beat_s))),
        ]

    def wake(self) -> None:
        """Say that there is something to do."""
        self._wake.set()

    async def close(self) -> None:
        """Stop: tasks that are not done go back into the queue, with what is done of them."""
        await _end(self._loops)
        unfinished = [claim for claim, task in self._working.values() if not task.done()]
        await _end([task for _, task in self._working.values()])
        for claim in unfinished:
            with suppress(Unavailable):
                await self._shop.queue.release(claim)
        await asyncio.to_thread(self._shop.scratch.close)

    async def _pick_up(self) -> None:
        while len(self._working) < self._pace.slots:
            lost, self._lost = self._lost, []
            if not lost and not await self._shop.queue.has_queued():
                return
            claim = await self._shop.queue.claim(self._name, lost)
            if claim is None:
                return
            TASKS_TAKEN.add(1, claim.task.type.value)
            task = asyncio.create_task(run_task(self._shop, claim))
            self._working[claim.task.id] = (claim, task)
            task.add_done_callback(lambda done, claim=claim: self._done(claim, done))  # type: ignore[misc]

    def _done(self, claim: Claim, done: asyncio.Task[None]) -> None:
        held = self._working.get(claim.task.id)
        if held is not None and held[1] is done:
            del self._working[claim.task.id]
        self._wake.set()
        self._on_end()
        if not done.cancelled() and (error := done.exception()) is not None:
            log_bug("task could not be ended", error, task=task_text(claim.task.id))

    async def _beat(self) -> None:
        await self._shop.queue.beat(self._fences())

    async def _check(self) -> None:
        fences = self._fences()
        held = await self._shop.queue.still_held(fences)
        for task_id in fences.keys() - held:
            if task_id in self._working and self._working[task_id][0].fence == fences[task_id]:
                self._working[task_id][1].cancel()
                LEASES_LOST.add(1)

    async def _look(self) -> None:
        try:
            beats = await self._shop.queue.beats()
        except Unavailable:
            self._watch.forget()
            raise
        self._lost = self._watch.look(beats, own=self._working.keys())
        if self._lost:
            self._wake.set()

    def _fences(self) -> dict[uuid.UUID, int]:
        return {task_id: claim.fence for task_id, (claim, task) in self._working.items() if not task.done()}

    async def _until_woken(self) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wake.wait(), self._pace.poll_s)
        self._wake.clear()


async def _for_ever(step: Callable[[], Awaitable[None]], rest: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await step()
        except Unavailable as error:
            log.warning("the task runner waits", reason=error.message)
            await asyncio.sleep(1.0)
        except Exception as error:  # noqa: BLE001 - one mistake must not end the service's work
            log_bug("the task runner stumbled", error)
            await asyncio.sleep(1.0)
        await rest()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
