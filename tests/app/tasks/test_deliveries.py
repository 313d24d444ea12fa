"""Webhooks on both databases: told at least once, under one id, by a schedule that survives everything."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from app.net.open import open_outbound
from app.tasks.answers import task_answer
from app.tasks.deliveries import CLAIM, Deliverer, message_id
from app.tasks.outbox import DELIVERED, FAILED, GONE, PENDING
from app.webhooks.schedule import RETRIES
from app.webhooks.sending import Attempt, Outcome, WebhookSender
from app.webhooks.signing import sign
from tests.app.records.requests import until
from tests.app.tasks.conftest import ALICE
from tests.fakes.receiver import webhook_receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from app.tasks.deliveries import DeliveryRecord
    from app.webhooks.sending import Delivery
    from tests.app.tasks.conftest import Desk

SECRETS = ("whsec_new", "whsec_old")


class Keys:
    """Knows one key's secrets."""

    async def webhook_secrets(self, key_id: UUID) -> tuple[str, ...]:
        """Return them."""
        return SECRETS if key_id == ALICE else ()


class Recorder:
    """Sends nothing and remembers all of it."""

    def __init__(self, *outcomes: Attempt) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[Delivery] = []

    async def send_once(self, delivery: Delivery) -> Attempt:
        """Answer as the test wants, at last with success."""
        self.sent.append(delivery)
        return self.outcomes.pop(0) if self.outcomes else Attempt(Outcome.DELIVERED, 204, 1.0, None, None)


class Clock:
    """A time of day that the test sets; at first a little after what it makes."""

    def __init__(self) -> None:
        self.now = datetime.now(timezone.utc) + timedelta(seconds=30)

    def __call__(self) -> datetime:
        """Return it."""
        return self.now


def failure(retry_after: timedelta | None = None) -> Attempt:
    """Return a failed attempt."""
    return Attempt(Outcome.FAILED, 500, 1.0, "the server answered (500)", retry_after)


async def told(desk: Desk, url: str = "https://example.com/hook") -> UUID:
    """Make something that is to be told."""
    task_id = await desk.create(callback_url=url, metadata={"order": "1"})
    await desk.store.cancel(ALICE, task_id)
    return task_id


async def only(deliverer: Deliverer, task_id: UUID) -> DeliveryRecord:
    """Return a task's only delivery."""
    (record,) = await deliverer.of_task(task_id)
    return record


async def test_a_real_receiver_hears_it(desk: Desk) -> None:
    """What arrives is signed with the newest secret, and is what asking for the task would tell."""
    with webhook_receiver() as receiver, open_outbound(["127.0.0.1"]) as outbound:
        deliverer = Deliverer(desk.database, desk.store, Keys(), WebhookSender(outbound))
        task_id = await told(desk, receiver.url)
        assert await deliverer.deliver_next()
        assert not await deliverer.deliver_next()
        (heard,) = receiver.heard
        record = await only(deliverer, task_id)
    assert heard.headers["webhook-id"] == message_id(record.id)
    timestamp = int(heard.headers["x-facemint-timestamp"])
    assert heard.headers["x-facemint-signature"] == sign(SECRETS[0], timestamp, heard.body)
    task = task_answer(await desk.store.get(ALICE, task_id))
    assert json.loads(heard.body) == {"event": "task.cancelled", **task, "result": None}
    assert record.state == DELIVERED
    assert [attempt.status for attempt in record.attempts] == [204]


async def test_failures_are_retried_for_a_day(desk: Desk) -> None:
    """One attempt and eight retries under one id, each recorded, each later than the one before."""
    clock, recorder = Clock(), Recorder(*[failure()] * 20)
    deliverer = Deliverer(desk.database, desk.store, Keys(), recorder, clock)
    task_id = await told(desk)
    begun = clock.now
    waits = []
    while (record := await only(deliverer, task_id)).state == PENDING:
        assert record.next_try_at is not None
        waits.append(record.next_try_at - clock.now)
        clock.now = max(clock.now, record.next_try_at)
        assert await deliverer.deliver_next()
        assert not await deliverer.deliver_next(), "the next one is not due yet"
    assert record.state == FAILED
    assert len(record.attempts) == len(recorder.sent) == RETRIES + 1
    assert len({sent.message_id for sent in recorder.sent}) == 1
    assert waits[1:] == sorted(waits[1:])
    assert timedelta(hours=17) < clock.now - begun <= timedelta(days=1)


async def test_retry_after_and_gone(desk: Desk) -> None:
    """A receiver that asks for a pause gets it, and one that says 410 hears nothing more."""
    clock = Clock()
    gone = Attempt(Outcome.GONE, 410, 1.0, "gone", None)
    deliverer = Deliverer(
        desk.database, desk.store, Keys(), Recorder(failure(timedelta(minutes=30)), gone), clock
    )
    task_id = await told(desk)
    assert await deliverer.deliver_next()
    clock.now += timedelta(minutes=29)
    assert not await deliverer.deliver_next()
    clock.now += timedelta(minutes=1)
    assert await deliverer.deliver_next()
    assert (await only(deliverer, task_id)).state == GONE
    clock.now += timedelta(days=2)
    assert not await deliverer.deliver_next()


async def test_a_killed_deliverer_is_no_loss(desk: Desk) -> None:
    """A delivery that was claimed and never noted is made again later, under the same id."""
    clock, dying, living = Clock(), _Dying(), Recorder()
    task_id = await told(desk)
    with pytest.raises(_Killed):
        await Deliverer(desk.database, desk.store, Keys(), dying, clock).deliver_next()
    deliverer = Deliverer(desk.database, desk.store, Keys(), living, clock)
    assert not await deliverer.deliver_next(), "it may still be on its way"
    clock.now += CLAIM
    assert await deliverer.deliver_next()
    assert living.sent[0].message_id == dying.sent[0].message_id
    assert (await only(deliverer, task_id)).state == DELIVERED


async def test_a_clock_that_is_set_back_delays_nothing(desk: Desk) -> None:
    """What was scheduled by a clock that was an hour ahead is due at once."""
    clock, recorder = Clock(), Recorder(failure())
    clock.now += timedelta(hours=1)
    deliverer = Deliverer(desk.database, desk.store, Keys(), recorder, clock)
    task_id = await told(desk)
    assert await deliverer.deliver_next()
    clock.now -= timedelta(hours=1)
    assert await deliverer.deliver_next()
    assert (await only(deliverer, task_id)).state == DELIVERED


async def test_replay(desk: Desk) -> None:
    """What failed for good, or arrived, is told again by hand, under the same id."""
    recorder = Recorder(Attempt(Outcome.GONE, 410, 1.0, "gone", None))
    deliverer = Deliverer(desk.database, desk.store, Keys(), recorder)
    task_id = await told(desk)
    assert await deliverer.deliver_next()
    delivery = await only(deliverer, task_id)
    assert await deliverer.replay(delivery.id)
    assert await deliverer.deliver_next()
    replayed = await only(deliverer, task_id)
    assert (replayed.state, len(replayed.attempts)) == (DELIVERED, 2)
    assert len({sent.message_id for sent in recorder.sent}) == 1
    assert not await deliverer.replay(ALICE)


async def test_a_deleted_task_is_not_told(desk: Desk) -> None:
    """With its task a delivery is gone."""
    recorder = Recorder()
    deliverer = Deliverer(desk.database, desk.store, Keys(), recorder)
    task_id = await told(desk)
    await desk.store.delete(ALICE, task_id)
    assert not await deliverer.deliver_next()
    assert recorder.sent == []


async def test_the_loops_deliver_all_of_it(desk: Desk) -> None:
    """Many deliveries are each made once by loops that run side by side."""
    recorder = Recorder()
    deliverer = Deliverer(desk.database, desk.store, Keys(), recorder)
    async with _started(deliverer):
        for _ in range(12):
            await told(desk)
        deliverer.wake()

        async def all_told() -> bool:
            return len(recorder.sent) >= 12

        await until(all_told, 20)
    assert len({sent.message_id for sent in recorder.sent}) == len(recorder.sent) == 12


class _Killed(BaseException):
    """The end of a process."""


class _Dying(Recorder):
    """A process that is killed in the middle of an attempt."""

    async def send_once(self, delivery: Delivery) -> Attempt:
        """Send, and die."""
        self.sent.append(delivery)
        raise _Killed


@asynccontextmanager
async def _started(deliverer: Deliverer) -> AsyncIterator[None]:
    await deliverer.start()
    try:
        yield
    finally:
        await deliverer.close()
