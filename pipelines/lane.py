"""Lanes: where work that would hold up the event loop is done, and detectors that work there."""

from __future__ import annotations

import asyncio
import ctypes
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import cv2
import numpy as np

from pipelines.batching import propose_grouped
from pipelines.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from numpy.typing import NDArray
    from typing_extensions import Self

    from pipelines.ports import DetectorNetwork, DetectorSpec, Lane, Proposals

#: Longer than the largest picture takes on a slow machine: whatever takes longer will not end.
STUCK_AFTER_S = 120.0

P = ParamSpec("P")
T = TypeVar("T")


class ThreadLane:
    """Threads of its own; work that finds too much waiting before it is shed instead of queued.

    While a lane exists OpenCV uses one thread for each picture in the whole process: pictures run beside
    each other, which wastes less than splitting each one.
    """

    def __init__(self, workers: int, max_waiting: int = 256, stuck_after_s: float = STUCK_AFTER_S) -> None:
        cv2.setNumThreads(1)
        _keep_freed_memory()
        self._limit = workers + max_waiting
        self._held = 0
        self._stuck_after_s = stuck_after_s
        self._begun: dict[int, float] = {}
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="lane")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the work on one of the threads; it is never started if the caller gives up before.

        Raises:
            Overloaded: too much work is waiting already.
        """
        if self._held >= self._limit:
            message = "too many pictures are waiting"
            raise Overloaded(message)
        self._held += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._executor, self._timed, partial(work, *args, **kwargs)
            )
        finally:
            self._held -= 1

    @property
    def is_stuck(self) -> bool:
        """Tell whether a piece of work has held its thread for longer than any may take."""
        oldest = min(list(self._begun.values()), default=math.inf)
        return monotonic() - oldest > self._stuck_after_s

    def _timed(self, work: Callable[[], T]) -> T:
        thread = threading.get_ident()
        self._begun[thread] = monotonic()
        try:
            return work()
        finally:
            del self._begun[thread]

    def close(self) -> None:
        """Finish what runs, drop what waits, and end the threads."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class HereLane:
    """Does work at once on the calling thread: for a process that has nothing else to do meanwhile."""

    is_stuck = False

    def __init__(self) -> None:
        cv2.setNumThreads(1)
        _keep_freed_memory()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the work."""
        return work(*args, **kwargs)


def _keep_freed_memory() -> None:
    """Have the C library keep a picture's memory for the next one instead of giving it back.

    Its own rule is to map what is larger than the largest block that was freed so far (up to 32 MB), and to
    keep twice that: so one such block is taken and freed, untouched. Otherwise every picture maps its pixels
    anew, and a third of the time goes into page faults. C libraries other than glibc do not mind.
    """
    np.empty(31 << 20, np.uint8)


def give_back_memory() -> None:
    """Give memory that loading took, and that is free again, back to the system.

    Networks need several times their size while they are read and tried. C libraries other than glibc are
    left alone.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class InlineDetector:
    """A network of this process as a detector: a picture's canvases are one piece of work on the lane."""

    def __init__(self, network: DetectorNetwork, lane: Lane) -> None:
        self._network = network
        self._lane = lane

    @property
    def spec(self) -> DetectorSpec:
        """Tell what the detector is."""
        return self._network.spec

    async def propose(self, canvases: Sequence[NDArray[np.uint8]], confidence: float) -> list[Proposals]:
        """Return the proposals for each canvas of one picture: uint8 BGR [H, W, 3], of any shapes."""
        return (await self._lane.run(propose_grouped, self._network, [(canvases, confidence)]))[0]
