"""Many tasks waited for with few requests: lists of those that are open, a hundred a page.

A task that is in neither list has ended, and is asked for by itself: that answer is its result.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from app.client import task_calls
from app.client.call import answer_json

if TYPE_CHECKING:
    import httpx

    from app.bulk.pace import Pace
    from app.client.async_client import AsyncClient

_OPEN = frozenset({"queued", "running"})
#: Where a key has far more open tasks than these, they are another's, and a look costs too much.
MOST_PAGES = 20


class TaskWatch:
    """Waits for tasks, and tells the pace what it sees."""

    def __init__(self, client: AsyncClient, pace: Pace) -> None:
        self._client = client
        self._pace = pace
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def ended(self, task_id: str) -> httpx.Response:
        """Return the answer about a task once it has ended."""
        while True:
            future = self._waiting[task_id] = asyncio.get_running_loop().create_future()
            try:
                await future
            finally:
                self._waiting.pop(task_id, None)
            answer = await self._client.send(task_calls.get_task_answer(task_id))
            if answer_json(answer)["status"] not in _OPEN:
                return answer

    async def run(self) -> None:
        """Look, again and again."""
        while True:
            await asyncio.sleep(self._pace.poll_s)
            if self._waiting:
                await self._look()

    async def _look(self) -> None:
        # Those that come while we look may be in no list yet.
        asked = set(self._waiting)
        oldest = min(asked)
        # In this order: a task that starts in between is in the second list, if it was not in the first.
        queued = await self._open("queued", oldest)
        running = await self._open("running", oldest)
        ended = asked - queued - running
        self._pace.seen(len(asked & queued), len(asked & running), len(ended))
        for task_id in ended:
            future = self._waiting.get(task_id)
            if future is not None and not future.done():
                future.set_result(None)

    async def _open(self, status: str, oldest: str) -> set[str]:
        """Return the open tasks that are no older than ours; identifiers are in the order of creation."""
        found: set[str] = set()
        cursor = None
        for _ in range(MOST_PAGES):
            page = await self._client.tasks.list(status=status, limit=100, cursor=cursor)
            found.update(task.task_id for task in page.tasks)
            cursor = page.next_cursor
            if cursor is None or page.tasks[-1].task_id < oldest:
                break
        return found
