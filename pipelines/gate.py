"""Gates: how many pictures are worked on at once, so that memory is bounded by these and not by the load."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pipelines.errors import Overloaded

if TYPE_CHECKING:
    from types import TracebackType


class Gate:
    """Lets a few pictures in at a time; those before it are still packed, and too many of them are shed.

    Args:
        width: pictures that may be in work; each holds its pixels.
        max_waiting: pictures that may wait for their turn, in the order they came.
    """

    def __init__(self, width: int, max_waiting: int) -> None:
        self._limit = width + max_waiting
        self._held = 0
        self._turns = asyncio.Semaphore(width)

    async def __aenter__(self) -> None:
        """Wait for a turn.

        Raises:
            Overloaded: too many wait already.
        """
        if self._held >= self._limit:
            message = "too many pictures are waiting"
            raise Overloaded(message)
        self._held += 1
        try:
            await self._turns.acquire()
        except BaseException:
            self._held -= 1
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the next one in."""
        self._held -= 1
        self._turns.release()
