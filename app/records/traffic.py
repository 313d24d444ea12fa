"""What came in, how it was answered and how long that took: counted in memory, written every few seconds.

    count(...) -> this process's counters -> a transaction every few seconds -> `traffic`, where all add up

No request waits for it. A clean stop loses nothing; a killed process loses its last seconds.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import delete, or_, select

from app.db.tables import TrafficRow
from app.db.upsert import insert_for
from pipelines.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from app.db.engine import Database

log = structlog.get_logger(__name__)

MINUTE_S: Final = 60
QUARTER_S: Final = 900
#: How long rows of either stretch are kept.
KEPT: Final[Mapping[int, timedelta]] = {MINUTE_S: timedelta(days=1), QUARTER_S: timedelta(days=8)}
WRITE_EVERY_S = 5.0
FORGET_EVERY_S = 600.0

REQUESTS, FACES, REFUSED, FAILED, TOOK = "requests.", "faces", "refused", "failed", "ms."
#: What is counted as: the beginning of a route's path, and its name in the plots.
KINDS: Final = (("/api/v1/detect", "detect"), ("/api/v1/mask", "mask"), ("/v1/", "tasks"))
#: Times are counted in classes that grow by a fifth: enough for percentiles within a tenth.
CLASSES_PER_DOUBLING = 4
LONGEST_CLASS = 80
_CALLERS_FAULT, _OUR_FAULT = 400, 500


def kind_of(path: str) -> str | None:
    """Return what a request to this route counts as; None for what is not counted: pages, files, health."""
    return next((kind for beginning, kind in KINDS if path.startswith(beginning)), None)


def class_of(took_ms: float) -> int:
    """Return the class of a time."""
    return max(0, min(LONGEST_CLASS, round(CLASSES_PER_DOUBLING * math.log2(max(took_ms, 1.0)))))


def time_of(number: int) -> float:
    """Return the time in milliseconds that stands for a class."""
    return float(2 ** (number / CLASSES_PER_DOUBLING))


def percentile(classes: Mapping[int, int], share: float) -> float | None:
    """Return the time that this share of all requests stayed under; None where there were none."""
    total = sum(classes.values())
    seen = 0
    for number in sorted(classes):
        seen += classes[number]
        if seen >= share * total:
            return time_of(number)
    return None


class Traffic:
    """Counts what this process answers."""

    def __init__(
        self,
        database: Database,
        write_every_s: float = WRITE_EVERY_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._write_every_s = write_every_s
        self._now = now
        self._counts: Counter[tuple[int, str]] = Counter()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._forgot_at = -math.inf

    def count(self, kind: str, status: int, took_ms: float, faces: int = 0) -> None:
        """Count a request that was answered now."""
        minute = int(self._now() // MINUTE_S) * MINUTE_S
        self._counts[minute, REQUESTS + kind] += 1
        if status >= _OUR_FAULT:
            self._counts[minute, FAILED] += 1
        elif status >= _CALLERS_FAULT:
            self._counts[minute, REFUSED] += 1
        elif kind != "tasks":
            self._counts[minute, f"{TOOK}{class_of(took_ms)}"] += 1
        if faces:
            self._counts[minute, FACES] += faces

    async def start(self) -> None:
        """Begin to write every few seconds."""
        self._task = asyncio.create_task(self._write_forever())

    async def close(self) -> None:
        """Write what is left."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        await self.write()

    async def write(self) -> None:
        """Add what was counted since the last time; where that fails, it is kept for the next."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            await self._add(counts)
        except BaseException:
            self._counts.update(counts)
            raise

    async def _add(self, counts: Mapping[tuple[int, str], int]) -> None:
        sums: Counter[tuple[int, int, str]] = Counter()
        for (minute, name), amount in counts.items():
            for span in KEPT:
                sums[span, minute // span * span, name] += amount
        rows = [
            {"span_s": span, "at": _moment(at), "name": name, "amount": amount}
            for (span, at, name), amount in sorted(sums.items())
        ]
        async with self._database.transaction() as tx:
            insert = insert_for(tx.dialect, TrafficRow)
            await tx.execute(
                insert.on_conflict_do_update(
                    index_elements=[TrafficRow.span_s, TrafficRow.at, TrafficRow.name],
                    set_={"amount": TrafficRow.amount + insert.excluded.amount},
                ),
                rows,
            )

    async def forget(self) -> None:
        """Remove rows that are too old for any plot."""
        now = _moment(int(self._now()))
        old = or_(
            *((TrafficRow.span_s == span) & (TrafficRow.at < now - kept) for span, kept in KEPT.items())
        )
        async with self._database.transaction() as tx:
            await tx.execute(delete(TrafficRow).where(old))

    async def _write_forever(self) -> None:
        while not self._stopping.is_set():
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._write_every_s)
            try:
                await self.write()
                if self._now() - self._forgot_at > FORGET_EVERY_S:
                    self._forgot_at = self._now()
                    await self.forget()
            except Unavailable as error:
                log.warning("traffic is not written yet", reason=error.message)
            except Exception:
                log.exception("writing the traffic failed")


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happened in a stretch of time that begins at `at`."""

    at: datetime
    counts: Mapping[str, int]

    @property
    def classes(self) -> dict[int, int]:
        """Return how many answers took how long."""
        return {
            int(name.removeprefix(TOOK)): amount
            for name, amount in self.counts.items()
            if name.startswith(TOOK)
        }


async def read_traffic(database: Database, span_s: int, step_s: int, since: datetime) -> list[Stretch]:
    """Return what happened since then, in stretches of `step_s`, those in which nothing did as well.

    Args:
        database: where it was written to.
        span_s: the rows to read, `MINUTE_S` or `QUARTER_S`.
        step_s: how long each of the returned stretches is; a multiple of `span_s`.
        since: the beginning; the last stretch is the one that is now.
    """
    first = int(since.timestamp()) // step_s * step_s
    last = int(time.time()) // step_s * step_s
    found: dict[int, Counter[str]] = {at: Counter() for at in range(first, last + 1, step_s)}
    query = select(TrafficRow.at, TrafficRow.name, TrafficRow.amount).where(
        TrafficRow.span_s == span_s, TrafficRow.at >= _moment(first)
    )
    async with database.read() as tx:
        for at, name, amount in await tx.execute(query):
            stretch = found.get(int(at.timestamp()) // step_s * step_s)
            if stretch is not None:
                stretch[name] += amount
    return [Stretch(_moment(at), counts) for at, counts in found.items()]


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
