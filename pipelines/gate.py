"""Gates: which pictures are worked on at once, so that memory is bounded by these and not by the load."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pipelines.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

#: One picture of 8K: 100 MB once it is unpacked.
ONE_8K = 7680 * 4320
#: What an ordinary picture has, a little more than Full HD.
_ORDINARY = 2_100_000


class Gate:
    """Lets pictures in by their size; those before it are still packed, and too many of them are shed.

    As many ordinary pictures are in work as it is wide, and fewer of large ones: their pixels together are no
    more than these, and no more than those of one 8K picture where that is more.

    Args:
        width: pictures that may be in work; each holds its pixels.
        max_waiting: pictures that may wait for their turn, in the order they came.
    """

    def __init__(self, width: int, max_waiting: int) -> None:
        self._width = width
        self._limit = width + max_waiting
        self._most_pixels = max(ONE_8K, width * _ORDINARY)
        self._held = 0
        self._in_work = 0
        self._pixels = 0
        # The first in line waits for room, all others wait for it: a large picture is not overtaken for ever.
        self._line = asyncio.Lock()
        self._one_left = asyncio.Event()

    @asynccontextmanager
    async def turn(self, pixels: int) -> AsyncIterator[None]:
        """Wait for a turn, and have it.

        Args:
            pixels: how many the picture has once it is unpacked.

        Raises:
            Overloaded: too many wait already.
        """
        if self._held >= self._limit:
            message = "too many pictures are waiting"
            raise Overloaded(message)
        self._held += 1
        try:
            async with self._line:
                while not self._has_room(pixels):
                    self._one_left.clear()
                    await self._one_left.wait()
                self._in_work += 1
                self._pixels += pixels
            try:
                yield
            finally:
                self._in_work -= 1
                self._pixels -= pixels
                self._one_left.set()
        finally:
            self._held -= 1

    def _has_room(self, pixels: int) -> bool:
        if self._in_work == 0:
            return True
        return self._in_work < self._width and self._pixels + pixels <= self._most_pixels
