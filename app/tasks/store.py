"""Tasks as their owners use them: create, look, list, cancel, delete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic_core import from_json
from sqlalchemy import delete, func, insert, select

from app import idempotency
from app.db.ids import first_id_at, new_id
from app.db.task_tables import IdempotencyRow, TaskChunkRow, TaskPageRow, TaskRow
from app.errors import Conflict, Forbidden, NotFound
from app.tasks.answers import created_answer, entries_name, result_json
from app.tasks.estimate import estimate_s
from app.tasks.minutes import add_media, check_minutes
from app.tasks.paging import unpack
from app.tasks.queue import FRAMES, PERSONS, TRACKS, end_task, forget_objects, utc_now
from app.tasks.rows import find_task, select_tasks, stored_options, task_of
from app.tasks.values import OPEN, Status
from pipelines.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from app.db.engine import Database, Reading
    from app.idempotency import KnownRequest
    from app.plans import Plan
    from app.tasks.objects import TaskObjects
    from app.tasks.signing import TextSigner
    from app.tasks.values import NewTask, Task, TaskType

MOST_PER_PAGE = 100
#: What is answered in one piece; longer results are read on from a cursor.
INLINE_BYTES = 8 * 1024 * 1024
_TASKS_CURSOR, _RESULT_CURSOR, _PERSONS_CURSOR = "tasks", "result", "appearances"


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks are listed."""

    status: Status | None = None
    type: TaskType | None = None
    created_after: datetime | None = None


class TaskStore:
    """All tasks, each open to its owner alone."""

    def __init__(
        self,
        database: Database,
        signer: TextSigner,
        now: Callable[[], datetime] = utc_now,
        inline_bytes: int = INLINE_BYTES,
        objects: TaskObjects | None = None,
    ) -> None:
        self._objects = objects
        self._database = database
        self._signer = signer
        self._now = now
        self._inline_bytes = inline_bytes

    async def create(
        self, owner: UUID, plan: Plan, new: NewTask, request_id: str, same: KnownRequest | None = None
    ) -> dict[str, Any]:
        """Queue a task and return what its owner hears: the first answer, where the request came before.

        Raises:
            Conflict: the idempotency key was used with another body.
            RateLimited: the plan's minutes of this month are used up.
        """
        now = self._now()
        async with self._database.transaction() as tx:
            if (first := await idempotency.claim(tx, owner, same, now)) is not None:
                return first
            await check_minutes(tx, owner, plan, now)
            task_id = new_id(now)
            estimated = await estimate_s(tx, new.options)
            answer = created_answer(request_id, task_id, now, estimated)
            await idempotency.note(tx, owner, same, answer)
            await tx.execute(
                insert(TaskRow).values(_new_row(owner, new, task_id, now, estimated, request_id))
            )
        return answer

    async def first_answer(self, owner: UUID, same: KnownRequest | None) -> dict[str, Any] | None:
        """Return what was answered to this request before; None for a new one.

        Raises:
            Conflict: the idempotency key was used with another body.
        """
        async with self._database.read() as tx:
            return await idempotency.first_answer(tx, owner, same, self._now()) or None

    async def get(self, owner: UUID, task_id: UUID) -> Task:
        """Return a task.

        Raises:
            NotFound: there is none.
            Forbidden: it is another's.
        """
        async with self._database.read() as tx:
            return await _owned(tx, owner, task_id)

    async def find(self, task_id: UUID) -> Task | None:
        """Return anybody's task; for this service's own use."""
        async with self._database.read() as tx:
            return await find_task(tx, task_id)

    async def result(self, task: Task, origin: str | None = None) -> bytes | None:
        """Return a task's result as JSON, as much as fits in one answer; None where there is none (yet).

        Args:
            task: which.
            origin: where who asks reaches this service; None where nobody asks.
        """
        if task.status is not Status.SUCCEEDED:
            return None
        async with self._database.read() as tx:
            frames, following = await _pages(tx, task.id, FRAMES, 0, self._inline_bytes)
            tracks, _ = await _pages(tx, task.id, TRACKS, 0, self._inline_bytes)
        output = None
        if task.options.mask is not None and self._objects is not None:
            output = await self._objects.shown(task.id, origin)
        return result_json(task, frames, tracks, await self._result_cursor(task, following), output)

    async def result_page(self, owner: UUID, task_id: UUID, cursor: str | None) -> bytes:
        """Return a run of frames, and the cursor of the next, as the fields of a JSON object.

        Raises:
            InvalidOption: the cursor is none of ours, or another task's.
            Conflict: the task has no result.
        """
        async with self._database.read() as tx:
            task = _succeeded(await _owned(tx, owner, task_id))
        first = 0
        if cursor is not None:
            opened = await self._signer.open(cursor, _RESULT_CURSOR, task_id.hex)
            first = int(_believed(opened))
        async with self._database.read() as tx:
            pages, following = await _pages(tx, task_id, FRAMES, first, 0)
        following_text = await self._result_cursor(task, following)
        named = "null" if following_text is None else f'"{following_text}"'
        name = entries_name(task).encode()
        return b'"' + name + b'":[' + b",".join(pages) + b'],"next_cursor":' + named.encode()

    async def persons(
        self, owner: UUID, task_id: UUID, limit: int, cursor: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return who appears when in a task's media, in order of appearance, and the cursor of the next page.

        Raises:
            InvalidOption: the cursor is none of ours, or another task's.
            Conflict: the task has no result, or nobody was to be recognised.
        """
        async with self._database.read() as tx:
            task = _succeeded(await _owned(tx, owner, task_id))
        if not task.options.recognize:
            message = "The task was not asked who it is; hand it in with recognize and library_id."
            raise Conflict(message)
        first = 0
        if cursor is not None:
            first = int(_believed(await self._signer.open(cursor, _PERSONS_CURSOR, task_id.hex)))
        async with self._database.read() as tx:
            found = await _entries(tx, task_id, PERSONS, first, limit + 1)
        if len(found) <= limit:
            return found, None
        return found[:limit], await self._signer.seal(str(first + limit), _PERSONS_CURSOR, task_id.hex)

    async def list(
        self, owner: UUID, wanted: TaskFilter, limit: int, cursor: str | None
    ) -> tuple[list[Task], str | None]:
        """Return an owner's tasks, newest first, and the cursor of the next page.

        Raises:
            InvalidOption: the cursor is none of ours.
        """
        query = select_tasks().where(TaskRow.owner == owner).order_by(TaskRow.id.desc()).limit(limit + 1)
        if wanted.status is not None:
            query = query.where(TaskRow.status == wanted.status.value)
        if wanted.type is not None:
            query = query.where(TaskRow.type == wanted.type.value)
        if wanted.created_after is not None:
            query = query.where(
                TaskRow.id >= first_id_at(wanted.created_after), TaskRow.created_at > wanted.created_after
            )
        if cursor is not None:
            opened = _believed(await self._signer.open(cursor, _TASKS_CURSOR, owner.hex))
            query = query.where(TaskRow.id < UUID(opened))
        async with self._database.read() as tx:
            tasks = [task_of(row) for row in await tx.execute(query)]
        if len(tasks) <= limit:
            return tasks, None
        tasks = tasks[:limit]
        return tasks, await self._signer.seal(tasks[-1].id.hex, _TASKS_CURSOR, owner.hex)

    async def cancel(self, owner: UUID, task_id: UUID) -> None:
        """End a task that is queued or running; a running one's runner notices within seconds.

        What was analysed until then counts.

        Raises:
            Conflict: it has ended already.
        """
        now = self._now()
        async with self._database.transaction() as tx:
            task = await _owned(tx, owner, task_id, lock=True)
            if task.status.is_terminal:
                message = f"The task is already {task.status.value} and cannot be cancelled."
                raise Conflict(message)
            done_s = await tx.scalar(
                select(func.sum(TaskChunkRow.media_s)).where(
                    TaskChunkRow.task_id == task_id, TaskChunkRow.is_done
                )
            )
            await end_task(tx, task_id, Status.CANCELLED, {"fence": TaskRow.fence + 1}, now)
            await add_media(tx, owner, done_s or 0.0, now)

    async def delete(self, owner: UUID, task_id: UUID) -> Task:
        """Remove a task with its result, its objects and its callbacks, in any state; return what it was."""
        async with self._database.transaction() as tx:
            task = await _owned(tx, owner, task_id, lock=True)
            keys = await forget_objects(tx, task_id)
            await tx.execute(delete(TaskRow).where(TaskRow.id == task_id))
        if self._objects is not None and keys:
            await self._objects.remove(keys)
        return task

    async def delete_ended(self, age: timedelta, most: int) -> tuple[Task, ...]:
        """Remove tasks that ended this long ago, the oldest first; return what they were."""
        async with self._database.transaction() as tx:
            before = self._now() - age
            query = (
                select_tasks()
                .where(TaskRow.id < first_id_at(before), TaskRow.completed_at < before)
                .order_by(TaskRow.id)
                .limit(most)
            )
            old = tuple(task_of(row) for row in await tx.execute(query))
            if old:
                for task in old:
                    await forget_objects(tx, task.id)
                await tx.execute(delete(TaskRow).where(TaskRow.id.in_([task.id for task in old])))
            return old

    async def is_media_used(self, owner: UUID, media_url: str) -> bool:
        """Tell whether any task of the owner still names this media."""
        async with self._database.read() as tx:
            query = select(TaskRow.id).where(TaskRow.owner == owner, TaskRow.media_url == media_url).limit(1)
            return await tx.scalar(query) is not None

    async def count_open(self) -> int:
        """Return how many tasks wait or run."""
        async with self._database.read() as tx:
            query = select(func.count()).select_from(TaskRow).where(TaskRow.status.in_(OPEN))
            return await tx.scalar(query) or 0

    async def forget_old_keys(self) -> None:
        """Forget idempotency keys that are too old to mean the same request."""
        async with self._database.transaction() as tx:
            before = self._now() - idempotency.LIVES
            await tx.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < before))

    async def _result_cursor(self, task: Task, following: int | None) -> str | None:
        if following is None:
            return None
        return await self._signer.seal(str(following), _RESULT_CURSOR, task.id.hex)


async def _owned(tx: Reading, owner: UUID, task_id: UUID, *, lock: bool = False) -> Task:
    task = await find_task(tx, task_id, lock=lock)
    if task is None:
        message = "There is no such task."
        raise NotFound(message)
    if task.owner != owner:
        message = "This task belongs to another key."
        raise Forbidden(message)
    return task


def _succeeded(task: Task) -> Task:
    if task.status is not Status.SUCCEEDED:
        message = f"The task is {task.status.value}; only tasks that succeeded have a result."
        raise Conflict(message)
    return task


async def _entries(tx: Reading, task_id: UUID, part: str, first: int, most: int) -> list[dict[str, Any]]:
    """Return entries of a part of the result from this one on."""
    mine = (TaskPageRow.task_id == task_id) & (TaskPageRow.part == part)
    sizes = await tx.execute(
        select(TaskPageRow.number, TaskPageRow.entry_count).where(mine).order_by(TaskPageRow.number)
    )
    found: list[dict[str, Any]] = []
    begin = 0
    for number, count in sizes.all():
        if begin + count > first and len(found) < most:
            page = (
                await tx.scalars(select(TaskPageRow.packed).where(mine, TaskPageRow.number == number))
            ).one()
            found += from_json(b"[" + unpack(page) + b"]")[max(first - begin, 0) :]
        begin += count
    return found[:most]


async def _pages(
    tx: Reading, task_id: UUID, part: str, first: int, most_bytes: int
) -> tuple[list[bytes], int | None]:
    """Return pages from this one on, at least one, and the number of the first that did not fit."""
    sizes = (
        await tx.execute(
            select(TaskPageRow.number, TaskPageRow.json_bytes)
            .where(TaskPageRow.task_id == task_id, TaskPageRow.part == part, TaskPageRow.number >= first)
            .order_by(TaskPageRow.number)
        )
    ).all()
    total, after = 0, None
    for number, json_bytes in sizes:
        total += json_bytes
        if total > most_bytes and number > first:
            after = number
            break
    packed = await tx.scalars(
        select(TaskPageRow.packed)
        .where(
            TaskPageRow.task_id == task_id,
            TaskPageRow.part == part,
            TaskPageRow.number >= first,
            TaskPageRow.number < (after if after is not None else first + len(sizes)),
        )
        .order_by(TaskPageRow.number)
    )
    return [unpack(each) for each in packed], after


def _new_row(
    owner: UUID, new: NewTask, task_id: UUID, now: datetime, estimated: int, request_id: str
) -> dict[str, Any]:
    return {
        "id": task_id,
        "owner": owner,
        "status": Status.QUEUED.value,
        "type": new.options.type.value,
        "media_url": new.media_url,
        "options": stored_options(new.options),
        "callback_url": new.callback_url,
        "note": new.metadata,
        "created_at": now,
        "estimated_s": estimated,
        "progress": 0.0,
        "fence": 0,
        "beat": 0,
        "tries": 0,
        "page_count": 0,
        "request_id": request_id,
    }


def _believed(opened: str | None) -> str:
    if opened is None:
        message = "cursor: not one that this service gave out for this list."
        raise InvalidOption(message)
    return opened
