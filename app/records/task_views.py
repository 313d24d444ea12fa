"""Everybody's tasks, for whoever runs the installation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from app.db.task_tables import TaskRow, UploadPartRow
from app.tasks.rows import select_tasks, task_of

if TYPE_CHECKING:
    import uuid

    from app.db.engine import Database
    from app.tasks.values import Status, Task, TaskType


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """Which tasks are listed."""

    status: Status | None = None
    type: TaskType | None = None
    owner: uuid.UUID | None = None


async def list_all_tasks(
    database: Database, choice: TaskChoice, limit: int, before: uuid.UUID | None = None
) -> list[Task]:
    """Return tasks of all owners, newest first; those older than `before` where it is given."""
    query = select_tasks().order_by(TaskRow.id.desc()).limit(limit)
    if choice.status is not None:
        query = query.where(TaskRow.status == choice.status.value)
    if choice.type is not None:
        query = query.where(TaskRow.type == choice.type.value)
    if choice.owner is not None:
        query = query.where(TaskRow.owner == choice.owner)
    if before is not None:
        query = query.where(TaskRow.id < before)
    async with database.read() as tx:
        return [task_of(row) for row in await tx.execute(query)]


async def parts_of_upload(database: Database, upload_id: uuid.UUID) -> list[tuple[str, int]]:
    """Return the objects that an upload consists of, in order, each with its size."""
    query = (
        select(UploadPartRow.object_key, UploadPartRow.size_bytes)
        .where(UploadPartRow.upload_id == upload_id)
        .order_by(UploadPartRow.number)
    )
    async with database.read() as tx:
        return [(row.object_key, row.size_bytes) for row in await tx.execute(query)]
