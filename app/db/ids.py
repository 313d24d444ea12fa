"""Identifiers that sort by the time they were made (UUID version 7).

Newest first is then a walk along the primary key: no second index, and no ties between rows of one
millisecond whose order could change from page to page.
"""

from __future__ import annotations

import os
import time
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_RANDOM_BITS = 80
_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62
_CLEARED = ~((0xF << 76) | (0x3 << 62))


def new_id(at: datetime | None = None) -> uuid.UUID:
    """Make an identifier for something that came to be `at` this time, now by default."""
    millis = time.time_ns() // 1_000_000 if at is None else _millis(at)
    random = int.from_bytes(os.urandom(_RANDOM_BITS // 8), "big")
    return _build(millis, random)


def first_id_at(at: datetime) -> uuid.UUID:
    """Return the border between identifiers made before this time and those made from then on."""
    return _build(_millis(at), 0)


def parse_id(text: str) -> uuid.UUID | None:
    """Read an identifier as clients write it: 36 characters with hyphens; None for anything else."""
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text.lower() else None


def _millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _build(millis: int, random: int) -> uuid.UUID:
    return uuid.UUID(int=((millis << _RANDOM_BITS) | random) & _CLEARED | _VERSION_7 | _VARIANT)
