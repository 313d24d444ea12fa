"""When a failed delivery is tried again.

    retry      1     2      3       4        5         6        7        8
    wait       25 s  75 s   3.8 min 11.3 min 33.8 min  1.7 h    5.1 h    15.2 h     x 0.8 to 1.05, by chance

Each wait is three times the one before. Together they are 18.2 to 23.9 hours: the last retry falls within a
day of the first attempt, and deliveries that failed together do not come back together.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

RETRIES = 8
#: No receiver may put a delivery off for longer at once.
LONGEST_RETRY_AFTER = timedelta(hours=6)

_FIRST_WAIT = timedelta(seconds=25)
_GROWTH = 3.0
_LEAST, _MOST = 0.8, 1.05


def next_try(
    attempt_no: int,
    now: datetime,
    random: Callable[[], float],
    retry_after: timedelta | None = None,
    give_up_at: datetime | None = None,
) -> datetime | None:
    """Return when to try again; None when it was tried often enough.

    Args:
        attempt_no: attempts that have failed, this one included; 1 after the first.
        now: when it failed.
        random: gives a number from 0 to 1.
        retry_after: how long the receiver wants to be left alone at least.
        give_up_at: the end of the day in which retries are made, also for receivers that put them off: the
            last one is then made at that time.
    """
    if attempt_no > RETRIES or (give_up_at is not None and now >= give_up_at):
        return None
    wait = _FIRST_WAIT * _GROWTH ** (attempt_no - 1) * (_LEAST + (_MOST - _LEAST) * random())
    if retry_after is not None:
        wait = max(wait, min(retry_after, LONGEST_RETRY_AFTER))
    due = now + wait
    return due if give_up_at is None else min(due, give_up_at)
