"""`python -m cluster.bench.many_libraries`: 10,000 libraries of three people, and one that takes long.

All lie in a SQLite file. Every library is searched once, then a few again and again, at last a few while a
large library is loaded beside. Memory is what the shelf says it holds, and what the process has grown by.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
import uuid
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from app.db.engine import Database, database_url
from app.db.migrate import migrate
from app.libraries.galleries import DatabaseGalleries
from cluster.bench.gallery import people, pictures
from pipelines.gallery.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

PEOPLE, DIMENSIONS = 3, 128
AGAIN, ROUNDS = 100, 20


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; times are milliseconds of one search."""

    libraries: int
    bound_mb: float
    most_held_mb: float
    grown_mb: float
    held_at_the_end: int
    right: float
    first_p50: float
    first_p99: float
    again_p50: float
    again_p99: float
    beside_p50: float
    beside_p99: float
    slow_load_s: float


async def measure(folder: Path, libraries: int, large: int, bound: int) -> Figures:
    """Fill a database, search, and return the figures."""
    database = Database(database_url(None, folder))
    await migrate(database)
    rows = people(libraries * PEOPLE, DIMENSIONS)
    names = [uuid.UUID(int=number + 1) for number in range(libraries)]
    slow = uuid.UUID(int=0)
    fill(folder / "facefleet.db", [(name, PEOPLE) for name in names], rows)
    fill(folder / "facefleet.db", [(slow, large)], people(large, DIMENSIONS))
    queries = pictures(rows)
    order = np.random.default_rng(3).permutation(libraries)
    process = psutil.Process()
    before = process.memory_info().rss
    shelf = Shelf(DatabaseGalleries(database), bound, patience_s=600)
    most, right = 0, 0

    async def search(place: int) -> float:
        nonlocal most, right
        person = place % PEOPLE
        begun = time.perf_counter()
        _, numbers = await shelf.search(names[place], 1, queries[place * PEOPLE + person][None], 1)
        took = time.perf_counter() - begun
        most, right = max(most, shelf.nbytes), right + int(numbers[0, 0] == person + 1)
        return took * 1e3

    first = [await search(int(place)) for place in order]
    told = right / libraries
    few = order[-AGAIN:].tolist()
    again = [await search(place) for _ in range(ROUNDS) for place in few]
    grown, held = process.memory_info().rss - before, len(shelf)
    begun = time.perf_counter()
    loading = asyncio.create_task(shelf.search(slow, 1, queries[:1], 1))
    beside: list[float] = []
    while not loading.done():
        beside.append(await search(few[len(beside) % len(few)]))
        # Others have their turn, as with requests that come from outside.
        await asyncio.sleep(0.002)
    took_s = time.perf_counter() - begun
    await shelf.close()
    await database.close()
    return Figures(
        libraries,
        bound / 1e6,
        most / 1e6,
        grown / 1e6,
        held,
        told,
        *_percentiles(first),
        *_percentiles(again),
        *_percentiles(beside),
        took_s,
    )


def _percentiles(taken: Sequence[float]) -> tuple[float, float]:
    return statistics.median(taken), float(np.percentile(taken, 99))


def fill(file: Path, libraries: Sequence[tuple[uuid.UUID, int]], rows: NDArray[np.float32]) -> None:
    """Write libraries of so many people each; the rows are theirs in that order."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
    owner = uuid.UUID(int=0).hex

    def persons() -> Iterator[tuple[object, ...]]:
        left = iter(rows)
        for name, count in libraries:
            for number in range(1, count + 1):
                yield name.hex, number, str(number), next(left).astype("<f2").tobytes(), now, now

    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(
            "INSERT INTO libraries (id, owner, handle, space, revision, forgotten_revision, next_number,"
            " person_count, face_count, created_at, updated_at)"
            " VALUES (?, ?, ?, 'bench', 1, 0, ?, ?, ?, ?, ?)",
            ((name.hex, owner, name.hex, count + 1, count, count, now, now) for name, count in libraries),
        )
        connection.executemany(
            "INSERT INTO persons (library_id, number, handle, template, revision, face_count, created_at,"
            " updated_at) VALUES (?, ?, ?, ?, 1, 1, ?, ?)",
            persons(),
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--libraries", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=500_000, help="people of the one that takes long")
    parser.add_argument("--bound", type=int, default=8_000_000, help="bytes that galleries may take")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="facefleet-bench-") as folder:
        figures = asyncio.run(measure(Path(folder), given.libraries, given.large, given.bound))
    table = Table(show_header=False)
    for name, value in asdict(figures).items():
        table.add_row(name.replace("_", " "), f"{value:.4g}")
    Console().print(table)


if __name__ == "__main__":
    main()
