"""Tasks over both databases, and what they are tested with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from app.db.engine import Database, database_url
from app.db.migrate import migrate
from app.plans import Plan, Plans
from app.tasks.queue import TaskQueue
from app.tasks.signing import TextSigner
from app.tasks.store import TaskStore
from app.tasks.values import NewTask, TaskOptions, TaskType, read_task_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ALICE, BOB, CAROL = UUID(int=1), UUID(int=2), UUID(int=3)
BIG = Plan(requests_per_minute=60, concurrent_tasks=100)
SMALL = Plan(requests_per_minute=60, concurrent_tasks=2, monthly_minutes=1)
PLANS = Plans({"default": SMALL})


@dataclass
class Desk:
    """The tasks of a database, by hand."""

    database: Database
    store: TaskStore
    queue: TaskQueue
    plans: Plans

    async def create(self, owner: UUID = ALICE, plan: Plan = SMALL, **changes: Any) -> UUID:  # noqa: ANN401
        """Queue a picture and return the task's identifier."""
        answer = await self.store.create(owner, plan, picture(**changes), "req_1")
        found = read_task_id(answer["task_id"])
        assert found is not None
        return found


def picture(**changes: Any) -> NewTask:  # noqa: ANN401 - whatever a task has
    """Return a task on a picture."""
    return NewTask(TaskOptions(TaskType.IMAGE), **{"media_url": "https://example.com/a.jpg", **changes})


@pytest.fixture
def desk(database: Database) -> Desk:
    """Return an empty installation's tasks; keys without a plan may run two at once."""
    return _desk(database)


@pytest.fixture
async def sqlite_desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Return the same in SQLite alone, for what is no matter of databases."""
    opened = Database(database_url(None, tmp_path))
    await migrate(opened)
    yield _desk(opened)
    await opened.close()


def _desk(database: Database) -> Desk:
    return Desk(database, TaskStore(database, TextSigner(database)), TaskQueue(database, PLANS), PLANS)
