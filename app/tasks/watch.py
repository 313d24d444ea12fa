"""Tells which runners are lost: their tasks' beats stand still, by this process's own steady clock.

No time is compared between machines, and none with the time of day: a clock that is set forward kills
nobody, and one that is set back keeps nobody alive.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Iterable

    from app.tasks.queue import Beat

LEASE_S = 15.0
#: A runner is lost when it was looked at this often in vain: a pause of the watch itself is no proof.
LOOKS = 3


@dataclass(slots=True)
class _Seen:
    beat: Beat
    since: float
    looks: int


class Watch:
    """Remembers the beats of running tasks."""

    def __init__(self, lease_s: float = LEASE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease_s = lease_s
        self._clock = clock
        self._seen: dict[uuid.UUID, _Seen] = {}

    def look(self, beats: Iterable[Beat], own: Collection[uuid.UUID] = ()) -> list[Beat]:
        """Return the last beats of those who are lost; one's own tasks never are."""
        now = self._clock()
        seen: dict[uuid.UUID, _Seen] = {}
        lost = []
        for beat in beats:
            if beat.task_id in own:
                continue
            before = self._seen.get(beat.task_id)
            if before is None or before.beat != beat:
                seen[beat.task_id] = _Seen(beat, now, 1)
                continue
            before.looks += 1
            seen[beat.task_id] = before
            if before.looks >= LOOKS and now - before.since >= self._lease_s:
                lost.append(beat)
        self._seen = seen
        return lost

    def forget(self) -> None:
        """Begin anew: while the database was away nobody could show that they live."""
        self._seen = {}
