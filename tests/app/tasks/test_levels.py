"""How full the queues are: read from both databases as they are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from app.db.task_tables import TaskRow, WebhookDeliveryRow
from app.tasks.levels import measure
from app.tasks.queue import utc_now
from app.tasks.values import TaskFailure
from pipelines.metrics import (
    OLDEST_TASK_SECONDS,
    OLDEST_WEBHOOK_SECONDS,
    TASKS_RUNNING,
    TASKS_WAITING,
    WEBHOOKS_DUE,
    Level,
)

if TYPE_CHECKING:
    from tests.app.tasks.conftest import Desk


def now_of(level: Level) -> float:
    """Return how something is now."""
    (reading,) = level.readings()
    return reading.value


async def test_an_empty_installation_waits_for_nothing(desk: Desk) -> None:
    """Everything is told as zero, so that a graph has no holes."""
    await measure(desk.database)
    levels = (TASKS_WAITING, TASKS_RUNNING, OLDEST_TASK_SECONDS, WEBHOOKS_DUE, OLDEST_WEBHOOK_SECONDS)
    assert [now_of(level) for level in levels] == [0, 0, 0, 0, 0]


async def test_queues_are_told_as_they_are(desk: Desk) -> None:
    """Waiting and running tasks, webhooks that are due, and how long the oldest of each has waited."""
    for _ in range(4):
        await desk.create(callback_url="https://example.com/hook")
    ended = await desk.queue.claim("runner")
    assert ended is not None
    assert await desk.queue.claim("runner") is not None
    await desk.queue.fail(ended, TaskFailure("internal_error", "for a reason"))
    async with desk.database.transaction() as tx:
        await tx.execute(update(TaskRow).values(created_at=utc_now() - timedelta(seconds=90)))
        await tx.execute(update(WebhookDeliveryRow).values(next_try_at=utc_now() - timedelta(seconds=30)))
    await measure(desk.database)
    assert (now_of(TASKS_WAITING), now_of(TASKS_RUNNING), now_of(WEBHOOKS_DUE)) == (2, 1, 1)
    assert now_of(OLDEST_TASK_SECONDS) == pytest.approx(90, abs=10)
    assert now_of(OLDEST_WEBHOOK_SECONDS) == pytest.approx(30, abs=10)
