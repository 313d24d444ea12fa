"""How full the queues are, read from the database every few seconds by each process that runs tasks.

They are the same whoever asks: of several runners' numbers the largest is the newest.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import func, select

from app.db.task_tables import TaskRow, WebhookDeliveryRow
from app.logs import log_bug
from app.tasks.outbox import PENDING
from app.tasks.queue import utc_now
from app.tasks.values import Status
from pipelines.errors import Unavailable
from pipelines.metrics import (
    OLDEST_TASK_SECONDS,
    OLDEST_WEBHOOK_SECONDS,
    TASKS_RUNNING,
    TASKS_WAITING,
    WEBHOOKS_DUE,
)

if TYPE_CHECKING:
    from datetime import datetime

    from app.db.engine import Database

EVERY_S = 5.0

log = structlog.get_logger(__name__)


async def measure_for_ever(database: Database, every_s: float = EVERY_S) -> None:
    """Measure until cancelled."""
    while True:
        try:
            await measure(database)
        except Unavailable as error:
            log.warning("queues are not measured", reason=error.message)
        except Exception as error:  # noqa: BLE001 - the next time may go better
            log_bug("measuring the queues stumbled", error)
        await asyncio.sleep(every_s)


async def measure(database: Database) -> None:
    """Read how many tasks and webhooks wait, and for how long the oldest has."""
    now = utc_now()
    queued = TaskRow.status == Status.QUEUED.value
    due = (WebhookDeliveryRow.state == PENDING, WebhookDeliveryRow.next_try_at <= now)
    async with database.read() as tx:
        waiting = await tx.scalar(select(func.count()).where(queued).select_from(TaskRow))
        running = await tx.scalar(
            select(func.count()).where(TaskRow.status == Status.RUNNING.value).select_from(TaskRow)
        )
        oldest = await tx.scalar(select(func.min(TaskRow.created_at)).where(queued))
        webhooks = await tx.scalar(select(func.count()).where(*due).select_from(WebhookDeliveryRow))
        overdue = await tx.scalar(select(func.min(WebhookDeliveryRow.next_try_at)).where(*due))
    TASKS_WAITING.put(waiting or 0)
    TASKS_RUNNING.put(running or 0)
    OLDEST_TASK_SECONDS.put(_age_s(oldest, now))
    WEBHOOKS_DUE.put(webhooks or 0)
    OLDEST_WEBHOOK_SECONDS.put(_age_s(overdue, now))


def _age_s(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())
