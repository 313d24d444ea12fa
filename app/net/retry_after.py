"""The Retry-After header: seconds or a date."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

_MOST_DIGITS = 9


def read_retry_after(value: str | None, now: datetime, longest: timedelta) -> timedelta | None:
    """Return how long a server wants to be left alone; None where it does not say so in a way we understand.

    Args:
        value: the header's text.
        now: the time that a date is counted from.
        longest: no server is left alone for longer.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        wait = timedelta(seconds=int(text)) if len(text) <= _MOST_DIGITS else longest
    else:
        try:
            date = parsedate_to_datetime(text)
        except (TypeError, ValueError, OverflowError):
            return None
        wait = (date if date.tzinfo else date.replace(tzinfo=timezone.utc)) - now
    return min(max(wait, timedelta(0)), longest)
