"""Many callers, one transaction: each waits for the commit that carries its row.

    submit(item) -> [items that came while the last batch was written] -> write(items) -> each caller's result

While one batch is being written the next one gathers, so a busy service commits a few dozen times a second
and not once per request; an idle one waits `linger_s` at most.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from pipelines.errors import Overloaded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")

LARGEST_BATCH = 64
LONGEST_QUEUE = 2000


class GroupCommit(Generic[Item, Result]):
    """Gathers items.

    Args:
        write: commits the items in one transaction and returns a result for each, in order.
        linger_s: how long the first item waits for company.
    """

    def __init__(
        self, write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], linger_s: float
    ) -> None:
        self._write = write
        self._linger_s = linger_s
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Return the item's result when its transaction is committed.

        Raises:
            Overloaded: too many items wait already.
        """
        if len(self._waiting) >= LONGEST_QUEUE:
            message = "too many results wait to be written"
            raise Overloaded(message)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await future

    async def close(self) -> None:
        """Wait until everything that was submitted is written."""
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        try:
            await asyncio.sleep(self._linger_s)
            while self._waiting:
                batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
                await self._write_batch(batch)
        finally:
            self._worker = None

    async def _write_batch(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._write([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - it is the callers' to handle
            if len(batch) > 1 and not isinstance(error, Unavailable):
                for one in batch:  # what is wrong with one must not fail the others
                    await self._write_batch([one])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
