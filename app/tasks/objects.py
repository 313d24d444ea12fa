"""What tasks make: masked media, and its parts on the way, as objects of the storage.

    row -> object -> named by a chunk's outcome, or as the task's output

The row comes first: whatever becomes of the task, its end finds every object by its row, and has all of them
removed but the output. What is put after that end is removed by who put it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from app.db.ids import new_id
from app.db.task_tables import TaskObjectRow
from app.db.upsert import insert_for
from app.records.cleanup import register
from app.storage.port import content_type
from app.tasks.answers import time_text
from app.tasks.patience import patiently
from app.tasks.queue import LeaseLost, hold, utc_now

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from pathlib import Path

    from app.db.engine import Database
    from app.records.cleanup import Cleanup
    from app.storage.port import ObjectStore
    from app.tasks.values import Claim


@dataclass(frozen=True, slots=True)
class UrlOptions:
    """How addresses are given out.

    Attributes:
        lifetime_s: for how long they work.
        origin: where clients reach this service, where nobody who asks tells.
    """

    lifetime_s: int = 3600
    origin: str = ""


class TaskObjects:
    """All objects that tasks made."""

    def __init__(
        self, database: Database, store: ObjectStore, cleanup: Cleanup, urls: UrlOptions | None = None
    ) -> None:
        self._database = database
        self._store = store
        self._cleanup = cleanup
        self._urls = urls or UrlOptions()

    def keeper(self, claim: Claim) -> TaskKeeper:
        """Return who keeps what this claim's runner makes."""
        return TaskKeeper(self._database, self._store, claim)

    async def output(self, task_id: uuid.UUID) -> tuple[str, int] | None:
        """Return the name and the size of the output of a task that succeeded; None where there is none."""
        async with self._database.read() as tx:
            row = (
                await tx.execute(
                    select(TaskObjectRow.object_key, TaskObjectRow.size_bytes)
                    .where(TaskObjectRow.task_id == task_id)
                    .limit(1)
                )
            ).one_or_none()
        return None if row is None else (row.object_key, row.size_bytes)

    async def shown(self, task_id: uuid.UUID, origin: str | None = None) -> dict[str, Any] | None:
        """Return the output of a task that succeeded, as its owner sees it; None where there is none."""
        found = await self.output(task_id)
        if found is None:
            return None
        key, size = found
        lifetime_s = self._urls.lifetime_s
        url = await self._store.url(key, lifetime_s)
        here = self._urls.origin if origin is None else origin
        return {
            "url": here + url if url.startswith("/") else url,
            "expires_at": time_text(utc_now() + timedelta(seconds=lifetime_s)),
            "content_type": content_type(key),
            "size": size,
        }

    async def remove(self, keys: Sequence[str]) -> None:
        """Remove objects that were registered to go."""
        await self._cleanup.try_now(keys)


class TaskKeeper:
    """Keeps objects for one claim."""

    def __init__(self, database: Database, store: ObjectStore, claim: Claim) -> None:
        self._database = database
        self._store = store
        self._claim = claim

    async def keep(self, path: Path, suffix: str) -> str:
        """Keep a file and return the object's name.

        Raises:
            LeaseLost: the task is another's.
        """
        key = f"tasks/{self._claim.task.id.hex}/{new_id().hex}.{suffix}"
        size = (await asyncio.to_thread(path.stat)).st_size
        await patiently(partial(self._note, key, size))
        await patiently(partial(self._store.put_file, key, path))
        await patiently(partial(self._check, key))
        return key

    async def bring(self, key: str, target: Path) -> None:
        """Write an object to a file."""
        await patiently(partial(self._write, key, target))

    async def _note(self, key: str, size: int) -> None:
        async with self._database.transaction() as tx:
            await hold(tx, self._claim)
            statement = insert_for(tx.dialect, TaskObjectRow).values(
                object_key=key, task_id=self._claim.task.id, size_bytes=size
            )
            # It may have been committed before, and only the answer was lost.
            await tx.execute(statement.on_conflict_do_nothing())

    async def _check(self, key: str) -> None:
        """See to it that an object that came after its task's end goes as well."""
        async with self._database.transaction() as tx:
            found = await tx.scalar(select(TaskObjectRow.object_key).where(TaskObjectRow.object_key == key))
            if found is None:
                await register(tx, [key])
        if found is None:
            raise LeaseLost

    async def _write(self, key: str, target: Path) -> None:
        with await asyncio.to_thread(target.open, "wb") as file:
            async for piece in self._store.get(key):
                await asyncio.to_thread(file.write, piece)
