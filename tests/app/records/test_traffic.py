"""What came in is counted by the minute, added up over processes, and forgotten in time."""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from app.records.traffic import (
    FACES,
    FAILED,
    MINUTE_S,
    QUARTER_S,
    REFUSED,
    REQUESTS,
    Traffic,
    class_of,
    kind_of,
    percentile,
    read_traffic,
)
from pipelines.errors import DependencyDown

if TYPE_CHECKING:
    from app.db.engine import Database


def ago(seconds: float) -> datetime:
    """Return a moment of the past."""
    return datetime.now(timezone.utc) - timedelta(seconds=seconds)


async def test_processes_add_up(database: Database) -> None:
    """Two processes that count in the same minute are told as one, in short stretches and in long ones."""
    first, second = Traffic(database), Traffic(database)
    first.count("detect", 200, 12.0, faces=3)
    first.count("mask", 422, 1.0)
    await first.write()
    second.count("detect", 503, 1.0)
    second.count("detect", 200, 24.0, faces=1)
    await second.write()
    await second.write()
    for span in (MINUTE_S, QUARTER_S):
        stretches = await read_traffic(database, span, span, ago(span))
        assert len(stretches) == 2
        counts = {
            name: sum(stretch.counts.get(name, 0) for stretch in stretches)
            for name in (f"{REQUESTS}detect", f"{REQUESTS}mask", FACES, REFUSED, FAILED)
        }
        assert list(counts.values()) == [3, 1, 4, 1, 1]
        assert sum(sum(stretch.classes.values()) for stretch in stretches) == 2


async def test_stretches_without_anything_are_told(database: Database) -> None:
    """A plot has as many places as the time has stretches, the one that is now among them."""
    stretches = await read_traffic(database, QUARTER_S, 2 * 3600, ago(7 * 86400))
    assert len(stretches) in {84, 85}
    assert all(later.at - one.at == timedelta(hours=2) for one, later in pairwise(stretches))
    assert not any(stretch.counts for stretch in stretches)


async def test_what_could_not_be_written_is_kept(database: Database) -> None:
    """While the database is away nothing is lost, and nothing is counted twice when it is back."""
    traffic = Traffic(database)
    traffic.count("detect", 200, 5.0)
    database.is_prepared = False
    with pytest.raises(DependencyDown):
        await traffic.write()
    traffic.count("detect", 200, 5.0)
    database.is_prepared = True
    await traffic.write()
    (*_, now) = await read_traffic(database, QUARTER_S, 86400, ago(60))
    assert now.counts[f"{REQUESTS}detect"] == 2


async def test_old_rows_go(database: Database) -> None:
    """Minutes are kept for a day, quarters of an hour for more than a week, nothing for longer."""
    for days in (0, 2, 9):
        traffic = Traffic(database, now=lambda days=days: time.time() - days * 86400)  # type: ignore[misc] # the loop's value, on purpose
        traffic.count("detect", 200, 5.0)
        await traffic.write()
    await Traffic(database).forget()
    minutes = await read_traffic(database, MINUTE_S, 86400, ago(10 * 86400))
    quarters = await read_traffic(database, QUARTER_S, 86400, ago(10 * 86400))
    assert sum(stretch.counts.get(f"{REQUESTS}detect", 0) for stretch in minutes) == 1
    assert sum(stretch.counts.get(f"{REQUESTS}detect", 0) for stretch in quarters) == 2


def test_percentiles_are_within_a_tenth() -> None:
    """Times in classes give the percentiles that the times themselves give, nearly."""
    chance = random.Random(7)  # noqa: S311 - the same times each time
    times = sorted(chance.lognormvariate(3.5, 0.8) for _ in range(5000))
    classes: dict[int, int] = {}
    for took in times:
        classes[class_of(took)] = classes.get(class_of(took), 0) + 1
    for share in (0.5, 0.95, 0.99):
        exact = times[int(share * len(times)) - 1]
        told = percentile(classes, share)
        assert told is not None
        assert abs(told / exact - 1) < 0.1
    assert percentile({}, 0.5) is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api/v1/detect", "detect"),
        ("/api/v1/mask", "mask"),
        ("/v1/task/{task_id}", "tasks"),
        ("/api/v1/admin/stats", None),
        ("/health", None),
        ("/", None),
    ],
)
def test_only_clients_requests_count(path: str, kind: str | None) -> None:
    """What administrators and load balancers ask is no traffic."""
    assert kind_of(path) == kind
