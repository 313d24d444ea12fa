"""How often and when each key was used: counted in memory, written every few seconds and at the end."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import bindparam, case, or_, update

from app.db.tables import ApiKeyRow
from pipelines.errors import Unavailable

if TYPE_CHECKING:
    from app.db.engine import Database

log = structlog.get_logger(__name__)

WRITE_EVERY_S = 3.0


class KeyUsage:
    """Counts requests per key. A clean stop loses nothing; a killed process loses its last seconds."""

    def __init__(self, database: Database, write_every_s: float = WRITE_EVERY_S) -> None:
        self._database = database
        self._write_every_s = write_every_s
        self._counts: dict[str, tuple[int, datetime]] = {}
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def count(self, key_id: str) -> None:
        """Count one request now."""
        count, _ = self._counts.get(key_id, (0, None))
        self._counts[key_id] = (count + 1, datetime.now(timezone.utc))

    async def start(self) -> None:
        """Begin to write every few seconds."""
        self._task = asyncio.create_task(self._write_forever())

    async def close(self) -> None:
        """Write what is left."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        await self.write()

    async def write(self) -> None:
        """Add what was counted since the last time; where that fails, it is kept for the next."""
        counts, self._counts = self._counts, {}
        if not counts:
            return
        rows = [
            {"key_id": uuid.UUID(key_id), "used": count, "used_at": used_at}
            for key_id, (count, used_at) in sorted(counts.items())
        ]
        newest = bindparam("used_at", type_=ApiKeyRow.last_used_at.type)
        is_later = or_(ApiKeyRow.last_used_at.is_(None), ApiKeyRow.last_used_at < newest)
        statement = (
            update(ApiKeyRow)
            .where(ApiKeyRow.id == bindparam("key_id"))
            .values(
                request_count=ApiKeyRow.request_count + bindparam("used"),
                last_used_at=case((is_later, newest), else_=ApiKeyRow.last_used_at),
            )
        )
        try:
            async with self._database.transaction() as tx:
                await tx.execute(statement, rows)
        except BaseException:
            for key_id, (count, used_at) in counts.items():
                since, later = self._counts.get(key_id, (0, used_at))
                self._counts[key_id] = (since + count, later)
            raise

    async def _write_forever(self) -> None:
        while not self._stopping.is_set():
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._write_every_s)
            try:
                await self.write()
            except Unavailable as error:
                log.warning("use of keys is not written yet", reason=error.message)
            except Exception:
                log.exception("writing the use of keys failed")
