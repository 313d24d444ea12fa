"""Whose chunk is next: places are few, tasks are many, and no one owner's long video holds up the others."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    owner: Hashable
    work: Hashable
    number: int
    place: asyncio.Future[None]


class Turns:
    """A number of places; of those who wait, the owner with the fewest gets the next one that is free.

    Among an owner's own work it is the one with the fewest, and then the one that has waited longest.

    Args:
        width: how many places there are; asked each time, because a cluster grows and shrinks.
    """

    def __init__(self, width: Callable[[], int]) -> None:
        self._width = width
        self._taken: Counter[Hashable] = Counter()
        self._waiting: list[_Waiting] = []
        self._numbers = count()

    @asynccontextmanager
    async def turn(self, owner: Hashable, work: Hashable) -> AsyncIterator[None]:
        """Hold a place while the block runs."""
        waiting = _Waiting(owner, work, next(self._numbers), asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._give_out()
        try:
            await waiting.place
        except asyncio.CancelledError:
            if waiting.place.done() and not waiting.place.cancelled():
                self._leave(waiting)
            else:
                self._waiting.remove(waiting)
            raise
        try:
            yield
        finally:
            self._leave(waiting)

    def _leave(self, holder: _Waiting) -> None:
        for name in _names(holder):
            self._taken[name] -= 1
            if not self._taken[name]:
                del self._taken[name]
        self._give_out()

    def _give_out(self) -> None:
        while self._waiting and self._taken[_EVERYBODY] < max(1, self._width()):
            following = min(self._waiting, key=self._rank)
            self._waiting.remove(following)
            self._taken.update(_names(following))
            following.place.set_result(None)

    def _rank(self, waiting: _Waiting) -> tuple[int, int, int]:
        _, owner, work = _names(waiting)
        return self._taken[owner], self._taken[work], waiting.number


_EVERYBODY = ("everybody",)


def _names(holder: _Waiting) -> tuple[Hashable, Hashable, Hashable]:
    """Return under what a holder is counted."""
    return _EVERYBODY, ("owner", holder.owner), ("work", holder.owner, holder.work)
