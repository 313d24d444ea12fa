"""A runner that can be killed: `python -m tests.app.tasks.runner_process HOME DB_URL PAUSE_S`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from app.db.engine import Database, database_url
from app.db.migrate import migrate
from app.plans import Plans
from app.tasks.queue import TaskQueue
from app.tasks.runner import RunnerPace, TaskRunner
from app.tasks.running import Workshop
from app.tasks.scratch import Scratch
from app.tasks.values import TaskType
from tests.app.tasks.chunked import ChunkedPipeline, OneFile


async def run(home: Path, url: str, pause_s: float) -> None:
    """Run tasks until killed."""
    database = Database(database_url(url, home))
    await migrate(database)
    queue = TaskQueue(database, Plans())
    pipelines = {TaskType.IMAGE: ChunkedPipeline(chunks=8, pause_s=pause_s)}
    shop = Workshop(queue, lambda _: OneFile(), pipelines, Scratch(home / "scratch"), chunks_at_once=2)
    await TaskRunner(shop, RunnerPace(lease_s=1.0, poll_s=0.05)).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
