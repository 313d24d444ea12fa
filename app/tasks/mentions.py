"""People taken out of results that are stored: who was named becomes somebody unknown, all else stays.

Tasks of that library that are in work begin their last step again: what they found out before may name
whoever is erased at this moment.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json
from sqlalchemy import delete, insert, select, update

from app.db.task_tables import TaskMentionRow, TaskPageRow, TaskRow
from app.tasks.paging import packed, unpack
from app.tasks.values import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from uuid import UUID

    from app.db.engine import Writing
    from app.tasks.values import Task


async def note_mentions(tx: Writing, task: Task, named: Collection[str]) -> None:
    """Note whom a task's result names."""
    rows = [
        {"task_id": task.id, "person": person, "owner": task.owner, "library": task.options.library_id}
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

    async def erase(self, tx: Writing, owner: UUID, library: str, person: str) -> int:
        """Take somebody out of every result; return how many results named them."""
        await _begin_again(tx, owner, library)
        mine = (
            (TaskMentionRow.owner == owner)
            & (TaskMentionRow.library == library)
            & (TaskMentionRow.person == person)
        )
        tasks = (await tx.scalars(select(TaskMentionRow.task_id).where(mine))).all()
        for task_id in tasks:
            await _rewrite(tx, task_id, person)
        await tx.execute(delete(TaskMentionRow).where(mine))
        self._wake()
        return len(tasks)


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


async def _rewrite(tx: Writing, task_id: UUID, person: str) -> None:
    keys = (TaskPageRow.part, TaskPageRow.number)
    pages = (await tx.execute(select(*keys).where(TaskPageRow.task_id == task_id))).all()
    for part, number in pages:
        this = (TaskPageRow.task_id == task_id) & (TaskPageRow.part == part) & (TaskPageRow.number == number)
        page = await tx.scalar(select(TaskPageRow.packed).where(this))
        changed = None if page is None else await asyncio.to_thread(without_person, page, person)
        if changed is not None:
            size, data = changed
            await tx.execute(update(TaskPageRow).where(this).values(packed=data, json_bytes=size))


def without_person(page: bytes, person: str) -> tuple[int, bytes] | None:
    """Return a page of any part without somebody: its size as JSON, and packed; None where it is the same."""
    text = unpack(page)
    if to_json(person) not in text:
        return None
    entries = from_json(b"[" + text + b"]")
    for entry in entries:
        _forget(entry, person)
    after = b",".join(to_json(entry) for entry in entries)
    return None if after == text else (len(after), packed(after))


def _forget(entry: dict[str, Any], person: str) -> None:
    """Take somebody out of a frame, a track, or a list of who appears when."""
    for face in entry.get("faces", ()):
        identity = face.get("identity")
        if identity:
            identity["matches"] = [each for each in identity["matches"] if each["person_id"] != person]
    if entry.get("person_id") == person:
        entry["person_id"] = None
        # A folder of an archive is called after whose pictures lie in it.
        entry.pop("image", None)
        if "spans" in entry:
            first = entry["spans"][0]
            number = (first.get("track_id") or first.get("face_id", "")).rpartition("_")[2]
            entry |= {"unknown_id": f"u_{int(number)}", "name": None, "score": None}
