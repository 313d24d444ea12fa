"""People taken out of results that are stored: who was named becomes somebody unknown, all else stays.

    mark: with whoever is erased, in one transaction    erase_marked: page by page, each a transaction

A result is rewritten in as many short steps as it has pages, so that nobody waits for a long one. Marks go
when the whole result is done; whatever dies before, begins it again and finds the pages that are left.

Tasks of that library that are in work begin their last step again: what they found out before may name
whoever is erased at this moment.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json
from sqlalchemy import delete, func, insert, select, update

from app.db.task_tables import TaskMentionRow, TaskPageRow, TaskRow
from app.tasks.paging import packed, unpack
from app.tasks.values import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from uuid import UUID

    from app.db.engine import Database, Writing
    from app.tasks.values import Task


async def note_mentions(tx: Writing, task: Task, named: Collection[str]) -> None:
    """Note whom a task's result names."""
    rows = [
        {
            "task_id": task.id,
            "person": person,
            "owner": task.owner,
            "library": task.options.library_id,
            "is_leaving": False,
        }
        for person in named
    ]
    if rows:
        await tx.execute(insert(TaskMentionRow), rows)


class TaskMentions:
    """Takes people out of the results of tasks.

    Args:
        wake: told when tasks are to be taken up again.
    """

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self._wake = wake

    async def mark(self, tx: Writing, owner: UUID, library: str, person: str | None = None) -> int:
        """Note that somebody, or everybody of a library, is to go; return how many results name them.

        Args:
            tx: in which they are forgotten otherwise.
            owner: of the library.
            library: what its owner calls it.
            person: what its owner calls somebody; None for everybody.
        """
        await _begin_again(tx, owner, library)
        mine = (TaskMentionRow.owner == owner) & (TaskMentionRow.library == library)
        if person is not None:
            mine &= TaskMentionRow.person == person
        await tx.execute(update(TaskMentionRow).where(mine).values(is_leaving=True))
        return await tx.scalar(select(func.count(TaskMentionRow.task_id.distinct())).where(mine)) or 0

    async def erase_marked(self, database: Database, owner: UUID | None = None) -> None:
        """Take whoever is marked out of an owner's results, or of everybody's."""
        if owner is not None:
            self._wake()
        query = select(TaskMentionRow.task_id).where(TaskMentionRow.is_leaving).limit(1)
        if owner is not None:
            query = query.where(TaskMentionRow.owner == owner)
        while True:
            async with database.read() as tx:
                task_id = await tx.scalar(query)
            if task_id is None:
                return
            await _erase_from(database, task_id)


async def _erase_from(database: Database, task_id: UUID) -> None:
    leaving = (TaskMentionRow.task_id == task_id) & TaskMentionRow.is_leaving
    async with database.read() as tx:
        people = frozenset(await tx.scalars(select(TaskMentionRow.person).where(leaving)))
        pages = select(TaskPageRow.part, TaskPageRow.number).where(TaskPageRow.task_id == task_id)
        keys = (await tx.execute(pages)).all()
    for part, number in keys:
        await _rewrite(database, task_id, part, number, people)
    async with database.transaction() as tx:
        await tx.execute(delete(TaskMentionRow).where(leaving, TaskMentionRow.person.in_(people)))


async def _rewrite(
    database: Database, task_id: UUID, part: str, number: int, people: Collection[str]
) -> None:
    this = (TaskPageRow.task_id == task_id) & (TaskPageRow.part == part) & (TaskPageRow.number == number)
    query = select(TaskPageRow.packed).where(this)
    async with database.read() as tx:
        page = await tx.scalar(query)
    if page is None or await asyncio.to_thread(without_people, page, people) is None:
        return
    async with database.transaction() as tx:
        # Locked and read again: somebody else may be taken out of the same page at this moment.
        page = await tx.scalar(query.with_for_update())
        changed = None if page is None else await asyncio.to_thread(without_people, page, people)
        if changed is not None:
            size, data = changed
            await tx.execute(update(TaskPageRow).where(this).values(packed=data, json_bytes=size))


async def _begin_again(tx: Writing, owner: UUID, library: str) -> None:
    running = await tx.execute(
        select(TaskRow.id, TaskRow.options).where(
            TaskRow.owner == owner, TaskRow.status == Status.RUNNING.value
        )
    )
    for task_id, options in running.all():
        if options.get("recognize") and options.get("library_id") == library:
            await tx.execute(
                update(TaskRow)
                .where(TaskRow.id == task_id, TaskRow.status == Status.RUNNING.value)
                .values(status=Status.QUEUED.value, fence=TaskRow.fence + 1, tries=0, runner=None)
            )


def without_people(page: bytes, people: Collection[str]) -> tuple[int, bytes] | None:
    """Return a page of any part without some people: its size as JSON, and packed; None if it is the same."""
    text = unpack(page)
    if not any(to_json(person) in text for person in people):
        return None
    entries = from_json(b"[" + text + b"]")
    for entry in entries:
        _forget(entry, people)
    after = b",".join(to_json(entry) for entry in entries)
    return None if after == text else (len(after), packed(after))


def _forget(entry: dict[str, Any], people: Collection[str]) -> None:
    """Take people out of a frame, a track, a row of an import, or a list of who appears when."""
    for face in entry.get("faces", ()):
        identity = face.get("identity")
        if identity:
            identity["matches"] = [each for each in identity["matches"] if each["person_id"] not in people]
    if entry.get("person_id") in people:
        entry["person_id"] = None
        # A folder of an archive is called after whose pictures lie in it.
        entry.pop("image", None)
        if "spans" in entry:
            first = entry["spans"][0]
            number = (first.get("track_id") or first.get("face_id", "")).rpartition("_")[2]
            entry |= {"unknown_id": f"u_{int(number)}", "name": None, "score": None}
