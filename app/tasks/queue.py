r"""The queue as runners see it: claim, beat, store what is done, end. Every write is fenced.

    claim -> put_plan -> put_chunk ... -> put_pages ... -> finish
               \___ each refused with `LeaseLost` once the task is cancelled, deleted or taken up by another

A runner proves its life by its beats. Who watches (`app.tasks.watch`) tells a lost runner by its own clock.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, func, insert, or_, select, text, update

from app.db.tables import ApiKeyRow
from app.db.task_tables import (
    ERROR_LENGTH,
    TaskChunkRow,
    TaskObjectRow,
    TaskPageRow,
    TaskRow,
    TaskTurnRow,
)
from app.db.upsert import insert_for
from app.records.cleanup import register
from app.tasks.mentions import note_mentions
from app.tasks.minutes import add_media
from app.tasks.outbox import announce
from app.tasks.rows import COLUMNS, select_tasks, task_of
from app.tasks.values import ChunkPlan, Claim, Status, StoredChunk, TaskFailure

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Mapping, Sequence

    from app.db.engine import Database, Reading, Writing
    from app.plans import Plans
    from app.tasks.paging import Page
    from app.tasks.values import MediaPlan

    #: A part of the result, the number of its first page here, and the pages.
    LastPages = tuple[str, int, Sequence[Page]]

#: A task is given up when this many runners died over it without getting any further.
MOST_TRIES = 3
POISON = TaskFailure(
    "internal_error", f"The analysis of this media ended unexpectedly {MOST_TRIES} times; it was given up."
)
FRAMES, TRACKS, PERSONS = "frames", "tracks", "persons"
_CLAIM_LOCK = 0x0FACE7A5C


class LeaseLost(Exception):
    """The task is not this runner's any more; whatever it still knows of it is void."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life of a running task's runner; while it stays the same there was none."""

    task_id: uuid.UUID
    fence: int
    beat: int


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(timezone.utc)


class TaskQueue:
    """All tasks that are not done."""

    def __init__(self, database: Database, plans: Plans, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._plans = plans
        self._now = now

    async def has_queued(self) -> bool:
        """Tell whether any task waits; quick, and takes no lock."""
        async with self._database.read() as tx:
            query = select(TaskRow.id).where(TaskRow.status == Status.QUEUED.value).limit(1)
            return await tx.scalar(query) is not None

    async def beats(self) -> list[Beat]:
        """Return the last sign of life of every running task."""
        async with self._database.read() as tx:
            rows = await tx.execute(
                select(TaskRow.id, TaskRow.fence, TaskRow.beat).where(TaskRow.status == Status.RUNNING.value)
            )
            return [Beat(*row) for row in rows]

    async def claim(self, runner: str, lost: Sequence[Beat] = ()) -> Claim | None:
        """Take up a task: one whose runner is lost, or the next in turn; None where there is none.

        Of owners with waiting tasks and room in their plan, the one with the fewest running tasks is next,
        and among those the one who has waited longest for a turn. An owner's own tasks go in order.
        """
        async with self._database.transaction() as tx:
            if tx.dialect.name == "postgresql":
                # Plans' limits are exact only while one claims at a time; SQLite has one writer anyway.
                await tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CLAIM_LOCK})
            for beat in lost:
                if claim := await self._claim_lost(tx, beat, runner):
                    return claim
            return await self._claim_next(tx, runner)

    async def beat(self, fences: Mapping[uuid.UUID, int]) -> None:
        """Show that these tasks' runner lives."""
        if fences:
            async with self._database.transaction() as tx:
                await tx.execute(update(TaskRow).where(_held(fences)).values(beat=TaskRow.beat + 1))

    async def still_held(self, fences: Mapping[uuid.UUID, int]) -> set[uuid.UUID]:
        """Return which of these tasks are still their claimant's: not cancelled, deleted or taken up."""
        if not fences:
            return set()
        async with self._database.read() as tx:
            return set(await tx.scalars(select(TaskRow.id).where(_held(fences))))

    async def release(self, claim: Claim) -> None:
        """Give a task back, unharmed: another runner, or this one after its restart, goes on with it."""
        async with self._database.transaction() as tx:
            await tx.execute(
                update(TaskRow)
                .where(_held({claim.task.id: claim.fence}))
                .values(
                    status=Status.QUEUED.value,
                    fence=TaskRow.fence + 1,
                    tries=case((TaskRow.tries > 0, TaskRow.tries - 1), else_=0),
                    runner=None,
                )
            )

    async def put_plan(self, claim: Claim, digest: str, plan: MediaPlan) -> list[StoredChunk]:
        """Note what the media is; return its chunks, those of an earlier runner with what they are.

        Raises:
            LeaseLost: see `TaskQueue`.
        """
        async with self._database.transaction() as tx:
            await hold(tx, claim)
            found = await _chunks(tx, claim.task.id)
            stored_digest = await tx.scalar(select(TaskRow.media_digest).where(TaskRow.id == claim.task.id))
            if stored_digest != digest or tuple(each.chunk for each in found) != plan.chunks:
                found = await _replace_chunks(tx, claim.task.id, plan)
            media = plan.media
            await tx.execute(
                update(TaskRow)
                .where(TaskRow.id == claim.task.id)
                .values(
                    media=None if media is None else asdict(media),
                    media_digest=digest,
                )
            )
            return found

    async def put_chunk(self, claim: Claim, number: int, outcome: bytes) -> None:
        """Keep what came of a chunk.

        Raises:
            LeaseLost: see `TaskQueue`.
        """
        async with self._database.transaction() as tx:
            await hold(tx, claim)
            await tx.execute(
                update(TaskChunkRow)
                .where(TaskChunkRow.task_id == claim.task.id, TaskChunkRow.number == number)
                .values(is_done=True, outcome=outcome)
            )
            done, planned = (
                await tx.execute(
                    select(
                        func.sum(case((TaskChunkRow.is_done, TaskChunkRow.media_s), else_=0.0)),
                        func.sum(TaskChunkRow.media_s),
                    ).where(TaskChunkRow.task_id == claim.task.id)
                )
            ).one()
            # It got further: whoever died over it before did not die of what lies behind.
            await tx.execute(
                update(TaskRow)
                .where(TaskRow.id == claim.task.id)
                .values(tries=0, progress=round(min(0.99, done / planned if planned else 0.0), 4))
            )

    async def count_death(self, claim: Claim, number: int) -> int:
        """Note that a worker died over a chunk; return how many did.

        Raises:
            LeaseLost: see `TaskQueue`.
        """
        is_it = and_(TaskChunkRow.task_id == claim.task.id, TaskChunkRow.number == number)
        async with self._database.transaction() as tx:
            await hold(tx, claim)
            tries = await tx.scalar(
                update(TaskChunkRow)
                .where(is_it)
                .values(tries=TaskChunkRow.tries + 1)
                .returning(TaskChunkRow.tries)
            )
            return tries or 0

    async def outcome(self, claim: Claim, number: int) -> bytes:
        """Return what came of a chunk.

        Raises:
            LeaseLost: see `TaskQueue`.
        """
        async with self._database.read() as tx:
            outcome = await tx.scalar(
                select(TaskChunkRow.outcome).where(
                    TaskChunkRow.task_id == claim.task.id, TaskChunkRow.number == number
                )
            )
        if outcome is None:
            raise LeaseLost
        return outcome

    async def put_pages(self, claim: Claim, part: str, first: int, pages: Sequence[Page]) -> None:
        """Keep pages of the result; the first ones replace what an earlier runner left.

        Raises:
            LeaseLost: see `TaskQueue`.
        """
        async with self._database.transaction() as tx:
            await hold(tx, claim)
            await _put_pages(tx, claim.task.id, part, first, pages)

    async def succeed(
        self,
        claim: Claim,
        summary: Mapping[str, Any],
        last: Sequence[LastPages],
        billed_s: float,
        output: str | None = None,
        named: Collection[str] = (),
    ) -> None:
        """End a task well: its last pages, its state, its minutes and its callback in one transaction.

        Of the objects that it made the output alone stays. `named` is whom the result names.

        Raises:
            LeaseLost: see `TaskQueue`.
        """
        page_count = sum(first + len(pages) for _, first, pages in last)
        values = {"summary": dict(summary), "page_count": page_count, "progress": 1.0}
        await self._end(claim, Status.SUCCEEDED, values, billed_s, last, output, named)

    async def fail(self, claim: Claim, failure: TaskFailure) -> None:
        """End a task badly.

        Raises:
            LeaseLost: see `TaskQueue`.
        """
        await self._end(claim, Status.FAILED, _failure_values(failure), 0.0)

    async def _end(
        self,
        claim: Claim,
        status: Status,
        values: dict[str, Any],
        billed_s: float,
        last: Sequence[LastPages] = (),
        output: str | None = None,
        named: Collection[str] = (),
    ) -> None:
        now = self._now()
        async with self._database.transaction() as tx:
            try:
                await hold(tx, claim)
            except LeaseLost:
                if await _ended_here(tx, claim, status):
                    return  # committed before, and only the answer was lost
                raise
            for part, first, pages in last:
                await _put_pages(tx, claim.task.id, part, first, pages)
            await end_task(tx, claim.task.id, status, values, now, output)
            await note_mentions(tx, claim.task, named)
            await add_media(tx, claim.task.owner, billed_s, now)

    async def _claim_lost(self, tx: Writing, beat: Beat, runner: str) -> Claim | None:
        row = (
            await tx.execute(
                select_tasks()
                .where(
                    TaskRow.id == beat.task_id,
                    TaskRow.status == Status.RUNNING.value,
                    TaskRow.fence == beat.fence,
                    TaskRow.beat == beat.beat,
                )
                .with_for_update()
            )
        ).one_or_none()
        if row is None:
            return None
        if row.tries >= MOST_TRIES:
            await end_task(tx, row.id, Status.FAILED, _failure_values(POISON), self._now())
            return None
        return await self._take(tx, row.id, runner)

    async def _claim_next(self, tx: Writing, runner: str) -> Claim | None:
        waiting = (
            await tx.execute(
                select(TaskRow.owner, ApiKeyRow.plan, TaskTurnRow.turn)
                .distinct()
                .outerjoin(ApiKeyRow, ApiKeyRow.id == TaskRow.owner)
                .outerjoin(TaskTurnRow, TaskTurnRow.owner == TaskRow.owner)
                .where(TaskRow.status == Status.QUEUED.value)
            )
        ).all()
        counted = await tx.execute(
            select(TaskRow.owner, func.count())
            .where(TaskRow.status == Status.RUNNING.value)
            .group_by(TaskRow.owner)
        )
        running: dict[uuid.UUID, int] = {owner: count for owner, count in counted}  # noqa: C416 - rows
        with_room = [
            (running.get(owner, 0), turn or 0, owner)
            for owner, plan, turn in waiting
            if running.get(owner, 0) < self._plans.of(plan).concurrent_tasks
        ]
        if not with_room:
            return None
        _, _, owner = min(with_room)
        first = await tx.scalar(
            select(TaskRow.id)
            .where(TaskRow.owner == owner, TaskRow.status == Status.QUEUED.value)
            .order_by(TaskRow.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if first is None:
            return None
        await _take_turn(tx, owner)
        return await self._take(tx, first, runner)

    async def _take(self, tx: Writing, task_id: uuid.UUID, runner: str) -> Claim:
        row = (
            await tx.execute(
                update(TaskRow)
                .where(TaskRow.id == task_id)
                .values(
                    status=Status.RUNNING.value,
                    fence=TaskRow.fence + 1,
                    tries=TaskRow.tries + 1,
                    runner=runner,
                    started_at=func.coalesce(TaskRow.started_at, self._now()),
                )
                .returning(*COLUMNS)
            )
        ).one()
        return Claim(task_of(row), row.fence, row.media_digest)


async def end_task(
    tx: Writing,
    task_id: uuid.UUID,
    status: Status,
    values: dict[str, Any],
    now: datetime,
    output: str | None = None,
) -> None:
    """Write a task's end, and with it who is to be told, and which objects must go."""
    callback_url = await tx.scalar(
        update(TaskRow)
        .where(TaskRow.id == task_id)
        .values(status=status.value, completed_at=now, runner=None, **values)
        .returning(TaskRow.callback_url)
    )
    await tx.execute(delete(TaskChunkRow).where(TaskChunkRow.task_id == task_id))
    await forget_objects(tx, task_id, output)
    if status is not Status.SUCCEEDED:
        await tx.execute(delete(TaskPageRow).where(TaskPageRow.task_id == task_id))
    await announce(tx, task_id, status, callback_url, now)


async def forget_objects(tx: Writing, task_id: uuid.UUID, but: str | None = None) -> list[str]:
    """Have a task's objects removed, except one; return their names."""
    is_gone = and_(TaskObjectRow.task_id == task_id, TaskObjectRow.object_key != (but or ""))
    keys = list(await tx.scalars(delete(TaskObjectRow).where(is_gone).returning(TaskObjectRow.object_key)))
    await register(tx, keys)
    return keys


def _failure_values(failure: TaskFailure) -> dict[str, Any]:
    return {"error_code": failure.code, "error_message": failure.message[:ERROR_LENGTH]}


def _held(fences: Mapping[uuid.UUID, int]) -> Any:  # noqa: ANN401 - one of SQLAlchemy's conditions
    each = [and_(TaskRow.id == task_id, TaskRow.fence == fence) for task_id, fence in fences.items()]
    return and_(TaskRow.status == Status.RUNNING.value, or_(*each))


async def hold(tx: Writing, claim: Claim) -> None:
    """Make sure, until the end of this transaction, that the task is still the claimant's."""
    held = await tx.execute(
        update(TaskRow).where(_held({claim.task.id: claim.fence})).values(beat=TaskRow.beat + 1)
    )
    if not held.rowcount:
        raise LeaseLost


async def _ended_here(tx: Reading, claim: Claim, status: Status) -> bool:
    found = (
        await tx.execute(select(TaskRow.status, TaskRow.fence).where(TaskRow.id == claim.task.id))
    ).one_or_none()
    return found is not None and (found.status, found.fence) == (status.value, claim.fence)


async def _put_pages(tx: Writing, task_id: uuid.UUID, part: str, first: int, pages: Sequence[Page]) -> None:
    """Write pages from this number on; there are none after them."""
    await tx.execute(
        delete(TaskPageRow).where(
            TaskPageRow.task_id == task_id, TaskPageRow.part == part, TaskPageRow.number >= first
        )
    )
    rows = [
        {
            "task_id": task_id,
            "part": part,
            "number": number,
            "entry_count": page.entry_count,
            "packed": page.packed,
            "json_bytes": page.json_bytes,
        }
        for number, page in enumerate(pages, first)
    ]
    if rows:
        await tx.execute(insert(TaskPageRow), rows)


async def _chunks(tx: Reading, task_id: uuid.UUID) -> list[StoredChunk]:
    rows = await tx.execute(
        select(
            TaskChunkRow.number,
            TaskChunkRow.plan,
            TaskChunkRow.media_s,
            TaskChunkRow.tries,
            TaskChunkRow.is_done,
        )
        .where(TaskChunkRow.task_id == task_id)
        .order_by(TaskChunkRow.number)
    )
    return [
        StoredChunk(ChunkPlan(number, plan, media_s), tries, is_done)
        for number, plan, media_s, tries, is_done in rows
    ]


async def _replace_chunks(tx: Writing, task_id: uuid.UUID, plan: MediaPlan) -> list[StoredChunk]:
    await tx.execute(delete(TaskChunkRow).where(TaskChunkRow.task_id == task_id))
    rows = [
        {
            "task_id": task_id,
            "number": chunk.number,
            "plan": dict(chunk.plan),
            "media_s": chunk.media_s,
            "tries": 0,
            "is_done": False,
        }
        for chunk in plan.chunks
    ]
    if rows:
        await tx.execute(insert(TaskChunkRow), rows)
    return [StoredChunk(chunk, 0, is_done=False) for chunk in plan.chunks]


async def _take_turn(tx: Writing, owner: uuid.UUID) -> None:
    turn = (await tx.scalar(select(func.max(TaskTurnRow.turn))) or 0) + 1
    statement = insert_for(tx.dialect, TaskTurnRow).values(owner=owner, turn=turn)
    await tx.execute(statement.on_conflict_do_update(index_elements=[TaskTurnRow.owner], set_={"turn": turn}))
