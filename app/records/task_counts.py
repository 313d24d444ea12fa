"""Tasks in numbers: how many of each state were made since a time, and how many waited and ran meanwhile."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from app.db.ids import first_id_at
from app.db.task_tables import TaskRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from app.db.engine import Database

#: Of busier times the newest tasks tell enough.
MOST_TASKS = 20_000
OPEN = ("queued", "running")


@dataclass(frozen=True, slots=True)
class TaskSpan:
    """From when to when a task was what."""

    status: str
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """What was made since a time.

    Attributes:
        open_now: tasks that wait or run now, however old, by state.
        spans: every task that was made since then, or the newest of them.
    """

    open_now: Mapping[str, int]
    spans: Sequence[TaskSpan]

    @property
    def by_status(self) -> Mapping[str, int]:
        """Return how many of the tasks made since then are in each state."""
        return Counter(span.status for span in self.spans)


async def count_tasks(database: Database, since: datetime) -> TaskCounts:
    """Count tasks; one walk along the primary key, as far as the time goes."""
    newest = (
        select(TaskRow.status, TaskRow.created_at, TaskRow.started_at, TaskRow.completed_at)
        .where(TaskRow.id >= first_id_at(since))
        .order_by(TaskRow.id.desc())
        .limit(MOST_TASKS)
    )
    waiting = (
        select(TaskRow.status, func.count().label("number"))
        .where(TaskRow.status.in_(OPEN))
        .group_by(TaskRow.status)
    )
    async with database.read() as tx:
        spans = [TaskSpan(*row) for row in await tx.execute(newest)]
        now = {row.status: row.number for row in await tx.execute(waiting)}
    return TaskCounts(now, spans)


def depths(spans: Sequence[TaskSpan], moments: Sequence[datetime]) -> tuple[list[int], list[int]]:
    """Return how many of these tasks waited, and how many ran, at each of these moments, which ascend."""
    never = moments[-1] + timedelta(days=1)
    made, begun, left_waiting, ended = [], [], [], []
    for span in spans:
        over = span.completed_at or never
        start = min(span.started_at or over, over)
        made.append(span.created_at)
        left_waiting.append(start)
        if span.started_at is not None:
            begun.append(start)
            ended.append(over)
    for times in (made, begun, left_waiting, ended):
        times.sort()
    waiting = [bisect_right(made, at) - bisect_right(left_waiting, at) for at in moments]
    running = [bisect_right(begun, at) - bisect_right(ended, at) for at in moments]
    return waiting, running
