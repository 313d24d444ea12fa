"""The gate: few in work, fewer of large ones, some waiting, the rest shed."""

from __future__ import annotations

import asyncio

import pytest

from pipelines.errors import Overloaded
from pipelines.gate import ONE_8K, Gate


class Work:
    """Goes through a gate, and remembers what was in work together."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._inside: list[int] = []
        self.together: list[list[int]] = []

    async def do(self, pixels: int) -> None:
        """Be in work for a moment."""
        async with self._gate.turn(pixels):
            self._inside.append(pixels)
            self.together.append(sorted(self._inside))
            await asyncio.sleep(0.01)
            self._inside.remove(pixels)


async def test_no_more_than_its_width_are_in_work_and_too_many_are_shed() -> None:
    """Of ten that come at once two are in work, three wait and five are told to come again."""
    work = Work(Gate(width=2, max_waiting=3))
    ends = await asyncio.gather(*(work.do(1000) for _ in range(10)), return_exceptions=True)
    assert max(map(len, work.together)) == 2
    assert sum(isinstance(end, Overloaded) for end in ends) == 5
    assert ends.count(None) == 5


async def test_large_pictures_are_in_work_one_at_a_time_and_in_their_order() -> None:
    """An 8K picture is alone with its pixels; it waits for those before it, and those after it for it."""
    work = Work(Gate(width=3, max_waiting=10))
    await asyncio.gather(*map(work.do, (10, 20, ONE_8K, 30, 40)))
    assert work.together[:3] == [[10], [10, 20], [ONE_8K]]
    assert work.together[-1] == [30, 40]


async def test_a_picture_larger_than_all_that_is_allowed_together_has_its_turn() -> None:
    """However large, alone it is let in."""
    work = Work(Gate(width=3, max_waiting=10))
    await asyncio.wait_for(asyncio.gather(*(work.do(2 * ONE_8K) for _ in range(3))), 5)
    assert work.together == [[2 * ONE_8K]] * 3


async def test_one_that_gives_up_while_it_waits_leaves_its_place() -> None:
    """A caller that goes away makes room for the next one."""
    gate = Gate(width=1, max_waiting=1)
    async with gate.turn(1000):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(gate.turn(1000).__aenter__(), 0.01)
        second = asyncio.create_task(gate.turn(1000).__aenter__())
        await asyncio.sleep(0)
        assert not second.done()
    await second
