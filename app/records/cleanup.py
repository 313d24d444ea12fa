"""Objects whose rows are gone: removed at once where that works, remembered and tried again where not."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import delete, select, update

from app.db.tables import CleanupTaskRow
from app.db.upsert import insert_for
from app.storage.port import ObjectMissing
from pipelines.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.db.engine import Database, Writing

AT_ONCE = 8
TAKE = 100
CLAIM = timedelta(minutes=5)
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=6)
DOUBLINGS = 10


async def register(tx: Writing, keys: Sequence[str]) -> None:
    """Note that these objects must go; in the transaction that removes their rows.

    They belong to the caller for a while, who tries at once; after that to whoever comes by.
    """
    if not keys:
        return
    now = datetime.now(timezone.utc)
    rows = [
        {"object_key": key, "attempts": 0, "last_error": None, "next_try_at": now + CLAIM, "created_at": now}
        for key in sorted(keys)
    ]
    await tx.execute(insert_for(tx.dialect, CleanupTaskRow).values(rows).on_conflict_do_nothing())


class Removing(Protocol):
    """As much of an object storage as is needed here."""

    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is fine."""


class Cleanup:
    """Removes objects."""

    def __init__(self, database: Database, store: Removing) -> None:
        self._database = database
        self._store = store

    async def try_now(self, keys: Sequence[str]) -> int:
        """Try to remove registered objects, and tell how many are gone; the others stay registered."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def attempt(key: str) -> str | None:
            async with gate:
                try:
                    await self._store.delete(key)
                except ObjectMissing:
                    return None
                except Unavailable as error:
                    return error.message
                return None

        errors = dict(zip(keys, await asyncio.gather(*map(attempt, keys)), strict=True))
        if errors:
            async with self._database.transaction() as tx:
                await _note(tx, errors)
        return sum(error is None for error in errors.values())

    async def run_due(self) -> int:
        """Remove objects whose time has come, of a past process too; return how many are gone."""
        gone = 0
        while keys := await self._claim():
            removed = await self.try_now(keys)
            gone += removed
            if removed == 0:  # the storage is away: the rest would fail as well
                break
        return gone

    async def _claim(self) -> Sequence[str]:
        now = datetime.now(timezone.utc)
        due = (
            select(CleanupTaskRow.object_key)
            .where(CleanupTaskRow.next_try_at <= now)
            .order_by(CleanupTaskRow.next_try_at)
            .limit(TAKE)
            .with_for_update(skip_locked=True)
        )
        async with self._database.transaction() as tx:
            keys = (await tx.scalars(due)).all()
            if keys:
                await tx.execute(
                    update(CleanupTaskRow)
                    .where(CleanupTaskRow.object_key.in_(keys))
                    .values(next_try_at=now + CLAIM)
                )
            return keys


async def _note(tx: Writing, errors: dict[str, str | None]) -> None:
    done = [key for key, error in errors.items() if error is None]
    await tx.execute(delete(CleanupTaskRow).where(CleanupTaskRow.object_key.in_(done)))
    failed = sorted(key for key, error in errors.items() if error is not None)
    if not failed:
        return
    now = datetime.now(timezone.utc)
    rows = await tx.execute(
        select(CleanupTaskRow.object_key, CleanupTaskRow.attempts)
        .where(CleanupTaskRow.object_key.in_(failed))
        .order_by(CleanupTaskRow.object_key)
        .with_for_update()
    )
    for key, attempts in rows.all():
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempts, DOUBLINGS))
        await tx.execute(
            update(CleanupTaskRow)
            .where(CleanupTaskRow.object_key == key)
            .values(attempts=attempts + 1, last_error=errors[key], next_try_at=now + wait)
        )
