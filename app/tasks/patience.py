"""Waits for parts that are away: a step is done again until it works, or for so long that it never will."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, TypeVar

import structlog

from pipelines.errors import Unavailable
from pipelines.metrics import RETRIES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 20.0
GIVE_UP_S = 3600.0

log = structlog.get_logger(__name__)


async def patiently(step: Callable[[], Awaitable[T]], give_up_s: float = GIVE_UP_S) -> T:
    """Return what the step returns.

    Raises:
        Unavailable: it did not work for this long.
    """
    deadline = time.monotonic() + give_up_s
    wait_s = FIRST_WAIT_S
    while True:
        try:
            return await step()
        except Unavailable as error:
            if time.monotonic() + wait_s > deadline:
                raise
            RETRIES.add(1, "task step")
            log.warning("a task waits", reason=error.message)
        await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, keeps no secret
        wait_s = min(wait_s * 2, LONGEST_WAIT_S)
