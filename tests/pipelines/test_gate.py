"""The gate: few in work, some waiting, the rest shed."""

from __future__ import annotations

import asyncio

import pytest

from pipelines.errors import Overloaded
from pipelines.gate import Gate


async def test_no_more_than_its_width_are_in_work_and_too_many_are_shed() -> None:
    """Of ten that come at once two are in work, three wait and five are told to come again."""
    gate = Gate(width=2, max_waiting=3)
    inside = most = 0

    async def work() -> None:
        nonlocal inside, most
        async with gate:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    ends = await asyncio.gather(*(work() for _ in range(10)), return_exceptions=True)
    assert most == 2
    assert sum(isinstance(end, Overloaded) for end in ends) == 5
    assert ends.count(None) == 5


async def test_one_that_gives_up_while_it_waits_leaves_its_place() -> None:
    """A caller that goes away makes room for the next one."""
    gate = Gate(width=1, max_waiting=1)
    async with gate:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(gate.__aenter__(), 0.01)
        second = asyncio.create_task(gate.__aenter__())
        await asyncio.sleep(0)
        assert not second.done()
    await second
