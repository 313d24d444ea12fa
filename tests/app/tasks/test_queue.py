"""The queue on both databases: fair, fenced, exactly one end for each task."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from app.db.task_tables import TaskChunkRow, WebhookDeliveryRow
from app.errors import Conflict, Forbidden, NotFound, RateLimited
from app.idempotency import KnownRequest
from app.tasks.paging import Page, PageFiller
from app.tasks.queue import FRAMES, MOST_TRIES, POISON, TRACKS, Beat, LeaseLost
from app.tasks.store import TaskFilter
from app.tasks.values import ChunkPlan, MediaFacts, MediaPlan, Status, TaskFailure
from app.tasks.watch import Watch
from pipelines.errors import InvalidOption
from tests.app.tasks.conftest import ALICE, BIG, BOB, CAROL, SMALL, picture

if TYPE_CHECKING:
    from uuid import UUID

    from app.db.engine import Database
    from app.tasks.values import Claim
    from tests.app.tasks.conftest import Desk

PLAN = MediaPlan(MediaFacts(640, 480, 4.0), tuple(ChunkPlan(each, {}, 2.0) for each in range(2)), 4.0)


async def claimed(desk: Desk, *, lost: tuple[Beat, ...] = ()) -> Claim:
    """Claim a task that must be there."""
    claim = await desk.queue.claim("runner", lost)
    assert claim is not None
    return claim


async def beat_of(desk: Desk, task_id: UUID) -> Beat:
    """Return a running task's last sign of life."""
    return next(beat for beat in await desk.queue.beats() if beat.task_id == task_id)


async def succeed(desk: Desk, claim: Claim) -> None:
    """End a task well, with one frame."""
    filler = PageFiller()
    pages = [*filler.add([{"timestamp": 0.0, "faces": []}]), *filler.rest()]
    await desk.queue.succeed(claim, {"total_faces": 0}, [(FRAMES, 0, pages), (TRACKS, 0, [])], 4.0)


async def test_turns_are_fair(desk: Desk) -> None:
    """Keys take turns however many tasks each has queued, and nobody runs more than the plan allows."""
    for _ in range(5):
        await desk.create(ALICE)
    for owner in (BOB, CAROL):
        for _ in range(2):
            await desk.create(owner)
    claims = [await claimed(desk) for _ in range(6)]
    assert {claim.task.owner for claim in claims[:3]} == {ALICE, BOB, CAROL}
    assert {claim.task.owner for claim in claims[3:]} == {ALICE, BOB, CAROL}
    assert await desk.queue.claim("runner") is None, "Alice's others wait: her plan allows two at once"
    first = next(claim for claim in claims if claim.task.owner == ALICE)
    await succeed(desk, first)
    assert (await claimed(desk)).task.owner == ALICE


async def test_an_owners_tasks_go_in_order(desk: Desk) -> None:
    """The oldest of a key's tasks is the next."""
    made = [await desk.create() for _ in range(2)]
    assert [(await claimed(desk)).task.id for _ in made] == made


async def test_claims_at_once_are_of_different_tasks(desk: Desk) -> None:
    """Of runners that ask at the same moment no two get the same task, and no plan is exceeded."""
    for owner in (ALICE, BOB):
        for _ in range(4):
            await desk.create(owner)
    claims = await asyncio.gather(*(desk.queue.claim(f"runner {each}") for each in range(8)))
    got = [claim.task.id for claim in claims if claim is not None]
    assert len(got) == len(set(got)) == 4


async def test_a_stale_runners_writes_are_refused(desk: Desk) -> None:
    """Once another has taken the task up, whatever the first one still writes changes nothing."""
    task_id = await desk.create()
    stale = await claimed(desk)
    await desk.queue.put_plan(stale, "digest", PLAN)
    fresh = await claimed(desk, lost=(await beat_of(desk, task_id),))
    assert fresh.fence > stale.fence
    page = Page(1, 2, b"")
    for write in (
        desk.queue.put_plan(stale, "digest", PLAN),
        desk.queue.put_chunk(stale, 0, b"stale"),
        desk.queue.count_death(stale, 0),
        desk.queue.put_pages(stale, FRAMES, 0, [page]),
        desk.queue.succeed(stale, {}, [], 1.0),
        desk.queue.fail(stale, TaskFailure("internal_error", "stale")),
    ):
        with pytest.raises(LeaseLost):
            await write
    await desk.queue.release(stale)
    assert await desk.queue.still_held({task_id: stale.fence}) == set()
    assert await desk.queue.still_held({task_id: fresh.fence}) == {task_id}
    await succeed(desk, fresh)
    assert (await desk.store.get(ALICE, task_id)).status is Status.SUCCEEDED


async def test_a_runner_that_lives_is_not_lost(desk: Desk) -> None:
    """A claim on a task whose runner gave a sign of life meanwhile comes to nothing."""
    task_id = await desk.create()
    claim = await claimed(desk)
    seen = await beat_of(desk, task_id)
    await desk.queue.beat({task_id: claim.fence})
    assert await desk.queue.claim("other", [seen]) is None
    assert await desk.queue.still_held({task_id: claim.fence}) == {task_id}


async def test_finished_chunks_outlive_their_runner(desk: Desk) -> None:
    """The next runner finds what is done; of other media nothing is kept."""
    task_id = await desk.create()
    first = await claimed(desk)
    await desk.queue.put_plan(first, "digest", PLAN)
    await desk.queue.put_chunk(first, 1, b"outcome")
    assert (await desk.store.get(ALICE, task_id)).progress == 0.5
    second = await claimed(desk, lost=(await beat_of(desk, task_id),))
    assert [each.is_done for each in await desk.queue.put_plan(second, "digest", PLAN)] == [False, True]
    assert await desk.queue.outcome(second, 1) == b"outcome"
    changed = await desk.queue.put_plan(second, "other digest", PLAN)
    assert [each.is_done for each in changed] == [False, False]


async def test_a_task_that_kills_its_runners_is_given_up(desk: Desk) -> None:
    """After three deaths without progress the task fails with a reason, and its owner is told."""
    task_id = await desk.create(callback_url="https://example.com/hook")
    await claimed(desk)
    for _ in range(MOST_TRIES - 1):
        await claimed(desk, lost=(await beat_of(desk, task_id),))
    assert await desk.queue.claim("runner", [await beat_of(desk, task_id)]) is None
    task = await desk.store.get(ALICE, task_id)
    assert (task.status, task.failure) == (Status.FAILED, POISON)
    assert await _events(desk.database, task_id) == ["task.failed"]


async def test_progress_is_a_new_life(desk: Desk) -> None:
    """Deaths before a chunk was finished do not count against what comes after it."""
    task_id = await desk.create()
    claim = await claimed(desk)
    for _ in range(MOST_TRIES + 2):
        await desk.queue.put_plan(claim, "digest", PLAN)
        await desk.queue.put_chunk(claim, 0, b"done")
        claim = await claimed(desk, lost=(await beat_of(desk, task_id),))
    assert (await desk.store.get(ALICE, task_id)).status is Status.RUNNING


async def test_the_end_is_written_once(desk: Desk) -> None:
    """Ending again, because the answer of the first commit was lost, changes and tells nothing more."""
    task_id = await desk.create(callback_url="https://example.com/hook")
    claim = await claimed(desk)
    await desk.queue.put_plan(claim, "digest", PLAN)
    for _ in range(2):
        await succeed(desk, claim)
    assert await _events(desk.database, task_id) == ["task.succeeded"]
    async with desk.database.read() as tx:
        assert (await tx.scalars(select(TaskChunkRow.number))).all() == []
    with pytest.raises(LeaseLost):
        await desk.queue.fail(claim, TaskFailure("x", "y"))


async def test_minutes_are_counted_and_end(desk: Desk) -> None:
    """Analysed media counts once; when the month's minutes are used up new tasks wait for the next month."""
    for _ in range(15):
        await desk.create(plan=BIG)
        claim = await claimed(desk)
        await succeed(desk, claim)
        await succeed(desk, claim)
    with pytest.raises(RateLimited) as refused:
        await desk.create(plan=SMALL)
    assert 0 < refused.value.retry_after_s <= 31 * 86_400 + 1
    await desk.create(BOB, plan=SMALL)


async def test_cancel_in_each_state(desk: Desk) -> None:
    """A queued task never starts, a running one is not its runner's any more, an ended one stays."""
    queued = await desk.create(callback_url="https://example.com/hook")
    await desk.store.cancel(ALICE, queued)
    assert await desk.queue.claim("runner") is None
    assert await _events(desk.database, queued) == ["task.cancelled"]

    running = await desk.create(callback_url="https://example.com/hook")
    claim = await claimed(desk)
    await desk.store.cancel(ALICE, running)
    with pytest.raises(LeaseLost):
        await succeed(desk, claim)
    assert await _events(desk.database, running) == ["task.cancelled"]
    with pytest.raises(Conflict):
        await desk.store.cancel(ALICE, running)
    with pytest.raises(Forbidden):
        await desk.store.cancel(BOB, running)


async def test_cancel_against_the_end(desk: Desk) -> None:
    """Of a cancellation and an end at the same moment one wins, and one thing is told."""
    for _ in range(5):
        task_id = await desk.create(callback_url="https://example.com/hook")
        claim = await claimed(desk)
        await asyncio.gather(succeed(desk, claim), desk.store.cancel(ALICE, task_id), return_exceptions=True)
        status = (await desk.store.get(ALICE, task_id)).status
        assert status.is_terminal
        assert await _events(desk.database, task_id) == [f"task.{status.value}"]


async def test_deleting_leaves_nothing(desk: Desk) -> None:
    """Rows of a deleted task are gone with it, and its runner cannot bring them back."""
    task_id = await desk.create(callback_url="https://example.com/hook")
    claim = await claimed(desk)
    await desk.queue.put_plan(claim, "digest", PLAN)
    with pytest.raises(Forbidden):
        await desk.store.delete(BOB, task_id)
    await desk.store.delete(ALICE, task_id)
    with pytest.raises(NotFound):
        await desk.store.get(ALICE, task_id)
    with pytest.raises(LeaseLost):
        await desk.queue.put_chunk(claim, 0, b"late")
    async with desk.database.read() as tx:
        assert (await tx.scalars(select(TaskChunkRow.number))).all() == []


async def test_the_same_request_is_the_same_task(desk: Desk) -> None:
    """A key and body that come again, even at the same moment, get the first answer; another body none."""
    same = KnownRequest("once", b"1" * 32)
    answers = await asyncio.gather(
        *(desk.store.create(ALICE, SMALL, picture(), f"req_{each}", same) for each in range(5))
    )
    assert len({answer["task_id"] for answer in answers}) == 1
    assert len({answer["request_id"] for answer in answers}) == 1
    with pytest.raises(Conflict):
        await desk.store.create(ALICE, SMALL, picture(), "req_x", KnownRequest("once", b"2" * 32))
    other = await desk.store.create(BOB, SMALL, picture(), "req_y", same)
    assert other["task_id"] != answers[0]["task_id"]
    assert await desk.store.count_open() == 2


async def test_lists_are_private_and_cursors_genuine(desk: Desk) -> None:
    """Every task of a key is listed once, no other key's is, and a changed cursor is refused."""
    mine = [await desk.create(ALICE, BIG) for _ in range(7)]
    await desk.create(BOB)
    seen: list[UUID] = []
    cursor = None
    while True:
        tasks, cursor = await desk.store.list(ALICE, TaskFilter(), 3, cursor)
        seen += [task.id for task in tasks]
        if cursor is None:
            break
    assert seen == mine[::-1]
    _, cursor = await desk.store.list(ALICE, TaskFilter(), 3, None)
    assert cursor is not None
    for bent in (cursor[:-1], cursor[1:], "x", "", "é", "a" * 500, cursor[:20] + "A" + cursor[21:]):
        with pytest.raises(InvalidOption):
            await desk.store.list(ALICE, TaskFilter(), 3, bent)
    with pytest.raises(InvalidOption):
        await desk.store.list(BOB, TaskFilter(), 3, cursor)
    now = datetime.now(timezone.utc)
    assert await desk.store.list(ALICE, TaskFilter(created_after=now), 3, None) == ([], None)
    assert await desk.store.list(ALICE, TaskFilter(status=Status.FAILED), 3, None) == ([], None)


def test_the_watch_knows_the_dead_by_its_own_clock() -> None:
    """Only a beat that stands still through several looks and the whole lease is a death."""
    now = 0.0
    watch = Watch(10.0, clock=lambda: now)
    task = ALICE
    assert watch.look([Beat(task, 1, 1)]) == []
    now = 100.0
    assert watch.look([Beat(task, 1, 1)]) == [], "a pause of the watch itself is no proof"
    assert watch.look([Beat(task, 1, 1)]) == [Beat(task, 1, 1)]
    assert watch.look([Beat(task, 1, 2)]) == []
    now = 105.0
    assert watch.look([Beat(task, 1, 2)]) == []
    watch.forget()
    now = 200.0
    assert watch.look([Beat(task, 1, 2)]) == []
    assert watch.look([Beat(task, 1, 2)], own=[task]) == []


async def _events(database: Database, task_id: UUID) -> list[str]:
    async with database.read() as tx:
        query = select(WebhookDeliveryRow.event).where(WebhookDeliveryRow.task_id == task_id)
        return list(await tx.scalars(query))
