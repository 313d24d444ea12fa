"""When failed deliveries are tried again."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.net.retry_after import read_retry_after
from app.webhooks.schedule import LONGEST_RETRY_AFTER, RETRIES, next_try

START = datetime(2026, 11, 21, tzinfo=timezone.utc)
DAY = timedelta(days=1)
#: A receiver that hangs costs ten seconds an attempt, and a second to close.
SLOWEST_ATTEMPT = timedelta(seconds=11)


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=RETRIES, max_size=RETRIES))
def test_eight_retries_fall_within_a_day(chances: list[float]) -> None:
    """Whatever chance says, waits grow, the last retry is late in the day, and there is no ninth."""
    now, waits = START + SLOWEST_ATTEMPT, []
    for number, chance in enumerate(chances, start=1):
        due = next_try(number, now, repeat(chance).__next__)
        assert due is not None
        waits.append(due - now)
        now = due + SLOWEST_ATTEMPT
    assert next_try(RETRIES + 1, now, lambda: 0.5) is None
    assert timedelta(hours=18) < now - START < DAY
    assert all(later > 2 * sooner for sooner, later in pairwise(waits))
    assert timedelta(seconds=20) <= waits[0] <= timedelta(seconds=27)


def test_chance_spreads_deliveries() -> None:
    """Deliveries that failed together come back over a quarter of their wait."""
    soonest, latest = (next_try(5, START, repeat(chance).__next__) for chance in (0.0, 0.999))
    assert soonest is not None
    assert latest is not None
    assert (latest - START) / (soonest - START) > 1.3


def test_receivers_may_ask_for_longer() -> None:
    """Retry-After delays a retry, never hastens it, and not beyond a cap."""
    hour = timedelta(hours=1)
    assert next_try(1, START, lambda: 0.5, retry_after=hour) == START + hour
    assert next_try(8, START, lambda: 0.5, retry_after=hour) == next_try(8, START, lambda: 0.5)
    assert next_try(1, START, lambda: 0.5, retry_after=DAY) == START + LONGEST_RETRY_AFTER


def test_receivers_cannot_stretch_the_day() -> None:
    """The last attempt is at the end of the day at the latest, and none after it."""
    end = START + timedelta(hours=2)
    assert next_try(2, START, lambda: 0.5, retry_after=DAY, give_up_at=end) == end
    assert next_try(3, end, lambda: 0.5, give_up_at=end) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("99999999999999999999", 3600),
        ("Sat, 21 Nov 2026 00:01:00 GMT", 60),
        ("Sat, 21 Nov 2026 00:01:00 -0000", 60),
        ("Fri, 20 Nov 2026 00:00:00 GMT", 0),
        ("Sun, 21 Nov 2027 00:00:00 GMT", 3600),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("Sat, 99 Nov 2026 00:00:00 GMT", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: int | None) -> None:
    """Both forms are read, capped, and nonsense is nothing."""
    found = read_retry_after(value, START, timedelta(hours=1))
    assert found == (None if seconds is None else timedelta(seconds=seconds))
