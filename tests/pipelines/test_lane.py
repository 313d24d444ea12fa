"""Lanes: work is done off the event loop, bounded, and ends with the lane."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from pipelines.errors import InvalidMedia, Overloaded
from pipelines.lane import InlineDetector, ThreadLane
from tests.fakes.blobs import BlobNetwork
from tests.pipelines.drawn import scene


async def test_works_on_threads_of_its_own() -> None:
    """Work runs on another thread and its result comes back."""
    with ThreadLane(1) as lane:
        assert await lane.run(threading.get_ident) != threading.get_ident()
        assert await lane.run(divmod, 7, 2) == (3, 1)


async def test_errors_come_back() -> None:
    """What the work raises is raised to who asked for it."""

    def fail() -> None:
        raise InvalidMedia("broken")  # noqa: EM101 - the test's own words

    with ThreadLane(1) as lane, pytest.raises(InvalidMedia):
        await lane.run(fail)


async def test_sheds_what_would_wait_too_long() -> None:
    """Beyond the workers and the waiting places work is refused, and taken again when there is room."""
    gate = threading.Event()
    with ThreadLane(1, max_waiting=1) as lane:
        held = [asyncio.create_task(lane.run(gate.wait, 10)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await lane.run(int)
        gate.set()
        assert await asyncio.gather(*held) == [True, True]
        assert await lane.run(int) == 0


async def test_work_given_up_while_waiting_never_starts() -> None:
    """A caller that hangs up before its turn costs nothing."""
    gate, started = threading.Event(), threading.Event()
    with ThreadLane(1) as lane:
        running = asyncio.create_task(lane.run(gate.wait, 10))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(lane.run(started.set))
        await asyncio.sleep(0)
        waiting.cancel()
        # Hanging up takes a turn of the loop to reach what waits.
        await asyncio.wait([waiting])
        gate.set()
        await running
        await lane.run(int)
    assert not started.is_set()


async def test_a_network_works_on_the_lane() -> None:
    """An inline detector is its network, asked for the canvases of one picture."""
    network = BlobNetwork()
    with ThreadLane(1) as lane:
        detector = InlineDetector(network, lane)
        (proposals,) = await detector.propose([scene(64, 32, (8, 8, 16, 16))], 0.5)
    assert detector.spec is network.spec
    assert np.array_equal(proposals.faces.boxes, np.array([[8, 8, 16, 16]], np.float32))


async def test_work_that_does_not_end_shows() -> None:
    """A lane is stuck once one piece of work has held it for longer than anything may take."""
    gate = threading.Event()
    seen = []
    with ThreadLane(1, stuck_after_s=0.05) as lane:
        seen.append(lane.is_stuck)
        running = asyncio.create_task(lane.run(gate.wait, 10))
        await asyncio.sleep(0.15)
        seen.append(lane.is_stuck)
        gate.set()
        await running
        seen.append(lane.is_stuck)
    assert seen == [False, True, False]
