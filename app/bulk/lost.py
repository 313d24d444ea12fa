"""Tasks that a job made and does not know of: it was killed before it could note them.

For a day the service knows their idempotency keys, and sending them again finds them. After that, they are
found by what the job wrote into their metadata.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from app.bulk.state import OPEN
from app.bulk.tables import OWN_METADATA

if TYPE_CHECKING:
    from app.bulk.folder import Job
    from app.bulk.journal import Journal
    from app.bulk.state import JobState
    from app.client.async_client import AsyncClient

#: The service forgets keys after 24 hours; a margin is left for clocks.
KEYS_LIVE_S = 20 * 3600


def task_key(job_id: str, row: int, tries: int) -> str:
    """Return what a row's task is known by."""
    return f"bulk-{job_id}-{row}-{tries}"


async def find_lost(
    job: Job, state: JobState, journal: Journal, client: AsyncClient, now: float | None = None
) -> int:
    """Note tasks of this job that its journal lacks, where their keys may be forgotten; return how many."""
    if not state.last_at or (time.time() if now is None else now) - state.last_at < KEYS_LIVE_S:
        return 0
    found = 0
    prefix = f"bulk-{job.job_id}-"
    begun = datetime.fromtimestamp(job.begun_at - 60, timezone.utc)
    cursor = None
    while True:
        page = await client.tasks.list(created_after=begun, limit=100, cursor=cursor)
        for task in page.tasks:
            key = str((task.metadata or {}).get(OWN_METADATA, ""))
            if not key.startswith(prefix):
                continue
            row, tries = (int(part) for part in key.removeprefix(prefix).split("-")[:2])
            if row >= job.rows or state.rows[row] != OPEN:
                continue
            work = state.work(row)
            if work.task is None and work.tries == tries:
                work.task = task.task_id
                await journal.write("task", row, task=task.task_id)
                found += 1
        cursor = page.next_cursor
        if cursor is None:
            return found
