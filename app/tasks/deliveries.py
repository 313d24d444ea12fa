"""Tells clients' servers how their tasks ended, and keeps what came of each attempt.

    due -> claimed for a while -> body from the task's rows -> one attempt -> noted, with the time of the next

A process that dies between attempt and note leaves a claim that runs out: the receiver may hear the same
twice, under the same `webhook-id`, and never less than once.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from sqlalchemy import insert, or_, select, update

from app.db.task_tables import ERROR_LENGTH, WebhookAttemptRow, WebhookDeliveryRow
from app.logs import log_bug, traced
from app.tasks.answers import task_answer, with_result
from app.tasks.outbox import DELIVERED, FAILED, GONE, PENDING
from app.tasks.queue import utc_now
from app.tasks.values import task_text
from app.webhooks.schedule import next_try
from app.webhooks.sending import Attempt, Delivery, Outcome
from pipelines.errors import Unavailable
from pipelines.metrics import WEBHOOK_ATTEMPTS, WEBHOOK_LAG_SECONDS, WEBHOOK_SECONDS

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Select

    from app.db.engine import Database
    from app.tasks.store import TaskStore

#: How long a claimed delivery is left alone: an attempt takes ten seconds at most.
CLAIM = timedelta(seconds=60)
RETRY_FOR = timedelta(days=1)
#: A schedule made this far in the future was made before the clock was set back.
CLOCK_DOUBT = timedelta(seconds=90)
AT_ONCE = 8
POLL_S = 0.25

log = structlog.get_logger(__name__)


class SendsOnce(Protocol):
    """Makes one attempt; `app.webhooks.sending.WebhookSender` does."""

    async def send_once(self, delivery: Delivery) -> Attempt:
        """Try once; never raises for what the receiver does."""


class KnowsSecrets(Protocol):
    """Knows what webhooks are signed with; `app.records.api_keys.ApiKeys` does."""

    async def webhook_secrets(self, key_id: uuid.UUID) -> tuple[str, ...]:
        """Return the secrets that are valid now, the newest first."""


@dataclass(frozen=True, slots=True)
class _Due:
    id: uuid.UUID
    task_id: uuid.UUID
    event: str
    url: str
    attempts: int
    attempt_total: int
    started_at: datetime
    claim: int


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One try, as it is shown."""

    number: int
    at: datetime
    status: int | None
    error: str | None
    ms: float


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery and its attempts, as they are shown."""

    id: uuid.UUID
    task_id: uuid.UUID
    event: str
    state: str
    created_at: datetime
    next_try_at: datetime | None
    attempts: tuple[DeliveryAttempt, ...]


class Deliverer:
    """Delivers what is due, for as long as the process lives."""

    def __init__(
        self,
        database: Database,
        store: TaskStore,
        secrets: KnowsSecrets,
        sender: SendsOnce,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._store = store
        self._secrets = secrets
        self._sender = sender
        self._now = now
        self._wake = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin."""
        self._loops = [asyncio.create_task(self._deliver_forever()) for _ in range(AT_ONCE)]

    def wake(self) -> None:
        """Say that something may be due."""
        self._wake.set()

    async def close(self) -> None:
        """Stop; what is in the middle of an attempt is tried again later."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    async def deliver_next(self) -> bool:
        """Make one attempt that is due; tell whether there was one."""
        due = await self._claim()
        if due is None:
            return False
        if due.attempts == 0:
            WEBHOOK_LAG_SECONDS.note(max(0.0, (self._now() - due.started_at).total_seconds()))
        attempt = await self._attempt(due)
        WEBHOOK_ATTEMPTS.add(1, attempt.outcome.value)
        WEBHOOK_SECONDS.note(attempt.took_ms / 1e3)
        await self._note(due, attempt)
        return True

    async def replay(self, delivery_id: uuid.UUID) -> bool:
        """Let a delivery begin again, by an administrator's wish; tell whether there is one."""
        now = self._now()
        async with self._database.transaction() as tx:
            found = await tx.execute(
                update(WebhookDeliveryRow)
                .where(WebhookDeliveryRow.id == delivery_id)
                .values(state=PENDING, attempts=0, started_at=now, next_try_at=now, scheduled_at=now)
            )
        self.wake()
        return bool(found.rowcount)

    async def of_task(self, task_id: uuid.UUID) -> list[DeliveryRecord]:
        """Return a task's deliveries with every attempt, oldest first."""
        async with self._database.read() as tx:
            deliveries = (
                await tx.execute(
                    select(*WebhookDeliveryRow.__table__.c)
                    .where(WebhookDeliveryRow.task_id == task_id)
                    .order_by(WebhookDeliveryRow.id)
                )
            ).all()
            attempts = (
                await tx.execute(
                    select(*WebhookAttemptRow.__table__.c)
                    .where(WebhookAttemptRow.delivery_id.in_([row.id for row in deliveries]))
                    .order_by(WebhookAttemptRow.number)
                )
            ).all()
        return [
            DeliveryRecord(
                row.id,
                row.task_id,
                row.event,
                row.state,
                row.created_at,
                row.next_try_at if row.state == PENDING else None,
                tuple(
                    DeliveryAttempt(each.number, each.at, each.status, each.error, each.ms)
                    for each in attempts
                    if each.delivery_id == row.id
                ),
            )
            for row in deliveries
        ]

    async def _deliver_forever(self) -> None:
        while True:
            delivered = False
            try:
                delivered = await self._has_due() and await self.deliver_next()
            except Unavailable as error:
                log.warning("webhooks wait", reason=error.message)
            except Exception as error:  # noqa: BLE001 - one mistake must not keep all webhooks back
                log_bug("delivering webhooks stumbled", error)
                await asyncio.sleep(1.0)
            if not delivered:
                await self._until_woken()

    async def _until_woken(self) -> None:
        with suppress(asyncio.TimeoutError):
            # Not all at the same moment: one look at the database tells as much as eight.
            await asyncio.wait_for(self._wake.wait(), POLL_S * AT_ONCE * random.uniform(0.5, 1.0))  # noqa: S311
        self._wake.clear()

    async def _has_due(self) -> bool:
        async with self._database.read() as tx:
            return await tx.scalar(self._due_query()) is not None

    def _due_query(self) -> Select[Any]:
        now = self._now()
        return (
            select(WebhookDeliveryRow.id)
            .where(
                WebhookDeliveryRow.state == PENDING,
                or_(
                    WebhookDeliveryRow.next_try_at <= now,
                    WebhookDeliveryRow.scheduled_at > now + CLOCK_DOUBT,
                ),
            )
            .order_by(WebhookDeliveryRow.next_try_at)
            .limit(1)
        )

    async def _claim(self) -> _Due | None:
        now = self._now()
        async with self._database.transaction() as tx:
            due = await tx.scalar(self._due_query().with_for_update(skip_locked=True))
            if due is None:
                return None
            row = (
                await tx.execute(
                    update(WebhookDeliveryRow)
                    .where(WebhookDeliveryRow.id == due)
                    .values(next_try_at=now + CLAIM, scheduled_at=now, claim=WebhookDeliveryRow.claim + 1)
                    .returning(
                        WebhookDeliveryRow.id,
                        WebhookDeliveryRow.task_id,
                        WebhookDeliveryRow.event,
                        WebhookDeliveryRow.url,
                        WebhookDeliveryRow.attempts,
                        WebhookDeliveryRow.attempt_total,
                        WebhookDeliveryRow.started_at,
                        WebhookDeliveryRow.claim,
                    )
                )
            ).one()
            return _Due(**row._asdict())

    async def _attempt(self, due: _Due) -> Attempt:
        task = await self._store.find(due.task_id)
        if task is None:
            return Attempt(Outcome.GONE, None, 0.0, "the task was deleted", None)
        secrets = await self._secrets.webhook_secrets(task.owner)
        if not secrets:
            return Attempt(Outcome.GONE, None, 0.0, "the key was deleted, nothing can be signed for it", None)
        body = with_result({"event": due.event, **task_answer(task)}, await self._store.result(task))
        delivery = Delivery(
            message_id(due.id), due.url, due.event, body, secrets, due.attempts + 1, task.request_id
        )
        attempt = await self._sender.send_once(delivery)
        with traced(task.request_id):
            log.info(
                "webhook",
                task=task_text(task.id),
                attempt=delivery.attempt_no,
                outcome=attempt.outcome.value,
                status=attempt.status,
                ms=round(attempt.took_ms),
            )
        return attempt

    async def _note(self, due: _Due, attempt: Attempt) -> None:
        now = self._now()
        state, next_at = DELIVERED, None
        if attempt.outcome is Outcome.GONE:
            state = GONE
        elif attempt.outcome is Outcome.FAILED:
            next_at = next_try(
                due.attempts + 1, now, random.random, attempt.retry_after, due.started_at + RETRY_FOR
            )
            state = FAILED if next_at is None else PENDING
        is_it = WebhookDeliveryRow.id == due.id
        async with self._database.transaction() as tx:
            number = await tx.scalar(
                update(WebhookDeliveryRow)
                .where(is_it)
                .values(attempt_total=WebhookDeliveryRow.attempt_total + 1)
                .returning(WebhookDeliveryRow.attempt_total)
            )
            if number is None:
                return  # deleted with its task meanwhile
            await tx.execute(
                insert(WebhookAttemptRow).values(
                    delivery_id=due.id,
                    number=number,
                    at=now,
                    status=attempt.status,
                    error=attempt.error[:ERROR_LENGTH] if attempt.error else None,
                    ms=attempt.took_ms,
                )
            )
            # Whoever claimed it after this process was thought dead decides how it goes on.
            await tx.execute(
                update(WebhookDeliveryRow)
                .where(is_it, WebhookDeliveryRow.claim == due.claim, WebhookDeliveryRow.state == PENDING)
                .values(
                    state=state,
                    attempts=due.attempts + 1,
                    next_try_at=next_at or now,
                    scheduled_at=now,
                )
            )


def message_id(delivery_id: uuid.UUID) -> str:
    """Return the `webhook-id` of a delivery."""
    return f"msg_{delivery_id.hex}"
