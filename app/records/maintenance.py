"""What must be done from time to time, by every process: each task is safe to do twice and at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from pipelines.errors import Unavailable

if TYPE_CHECKING:
    from app.records.cleanup import Cleanup
    from app.records.deleting import RecordDeleter
    from app.records.sessions import AdminSessions

log = structlog.get_logger(__name__)

EVERY_S = 60.0


class Maintenance:
    """Removes objects that are still to go, sessions that are over, and images that are too old.

    Args:
        cleanup: None where pictures are not kept, and then `deleter` as well.
        retention_days: how long images are kept; None for ever.
    """

    def __init__(
        self,
        sessions: AdminSessions,
        cleanup: Cleanup | None,
        deleter: RecordDeleter | None,
        retention_days: int | None,
        every_s: float = EVERY_S,
    ) -> None:
        self._sessions = sessions
        self._cleanup = cleanup
        self._deleter = deleter
        self._retention = None if retention_days is None else timedelta(days=retention_days)
        self._every_s = every_s
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin: now, and then every minute."""
        self._task = asyncio.create_task(self._run_forever())

    async def close(self) -> None:
        """Stop after what is being done."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def run(self) -> None:
        """Do all of it once."""
        await self._sessions.delete_ended()
        if self._cleanup is not None:
            await self._cleanup.run_due()
        if self._deleter is not None and self._retention is not None:
            removed = await self._deleter.delete_older_than(self._retention)
            if removed:
                log.info("images past their retention were removed", images=removed)

    async def _run_forever(self) -> None:
        while not self._stopping.is_set():
            try:
                await self.run()
            except Unavailable as error:
                log.warning("maintenance waits", reason=error.message)
            except Exception:
                log.exception("maintenance failed")
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._every_s)
