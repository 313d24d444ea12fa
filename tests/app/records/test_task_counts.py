"""How many tasks waited and ran at each moment."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

from app.records.task_counts import TaskSpan, depths

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def at(seconds: float) -> datetime:
    """Return a moment."""
    return START + timedelta(seconds=seconds)


def test_depths_are_what_counting_gives() -> None:
    """The quick way gives the numbers of the plain way, for tasks that wait, run, end, or are never run."""
    chance = random.Random(3)  # noqa: S311 - the same tasks each time
    spans = []
    for _ in range(200):
        made = chance.uniform(0, 100)
        started = made + chance.uniform(0, 20) if chance.random() < 0.8 else None
        ended = (started or made) + chance.uniform(0, 30) if chance.random() < 0.8 else None
        spans.append(
            TaskSpan(
                "any",
                at(made),
                None if started is None else at(started),
                None if ended is None else at(ended),
            )
        )
    moments = [at(second) for second in range(0, 160, 5)]
    waiting, running = depths(spans, moments)
    for moment, waits, runs in zip(moments, waiting, running, strict=True):
        alive = [
            span
            for span in spans
            if span.created_at <= moment and (span.completed_at is None or span.completed_at > moment)
        ]
        begun = [span for span in alive if span.started_at is not None and span.started_at <= moment]
        assert (waits, runs) == (len(alive) - len(begun), len(begun))
