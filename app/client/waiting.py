"""How often a task is asked about: soon at first, then every few seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from app.client.errors import WaitedTooLong

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_S, GROWTH, LONGEST_S = 0.2, 1.4, 3.0


def pauses(task_id: str, timeout_s: float | None) -> Iterator[float]:
    """Yield the pauses between looks at a task.

    Raises:
        WaitedTooLong: the time is over.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    pause = FIRST_S
    while True:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            message = f"{task_id} is still at work after {timeout_s:g} s"
            raise WaitedTooLong(message)
        yield pause if left is None else min(pause, left)
        pause = min(pause * GROWTH, LONGEST_S)
