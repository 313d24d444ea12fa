"""`python -m cluster.bench.gallery`: searching libraries, beside raw FAISS in the same run.

Vectors are made up to be like those that SFace gives for LFW: spread over all directions nearly evenly around
a common mean, in groups that are a little more alike; a search's picture has a cosine of 0.68, give or take
0.1, with the person it shows. Recall is the share of searches that find whom comparing everything finds.
Loading is from a SQLite file, through the code that the service uses, up to the first answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from app.db.engine import Database, database_url
from app.db.migrate import migrate
from app.libraries.galleries import DatabaseGalleries
from pipelines.gallery.gallery import Changes, Gallery
from pipelines.gallery.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

SIZES = ((100_000, 128), (100_000, 512), (1_000_000, 128), (1_000_000, 512))
QUERIES = 300
PART = 50_000
GROUPS = 64
#: Cells of the index that is measured beside ours, and how many of them are looked at.
CELLS, PROBED = 1024, (64, 256, 400)
_NOBODY = np.zeros(0, np.int64)


def people(count: int, dimensions: int) -> NDArray[np.float32]:
    """Return made-up people."""
    random = np.random.default_rng(dimensions)
    spread = ((np.arange(dimensions) + 1.0) ** -0.12).astype(np.float32)
    mean = random.normal(size=dimensions).astype(np.float32) * 0.28
    groups = mean + random.normal(size=(GROUPS, dimensions)).astype(np.float32) * spread * 0.2
    rows = np.empty((count, dimensions), np.float32)
    for start in range(0, count, PART):
        part = rows[start : start + PART]
        part[:] = random.standard_normal(part.shape, np.float32) * spread
        part += groups[random.integers(0, GROUPS, len(part))]
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return rows


def pictures(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a new picture of each person."""
    random = np.random.default_rng(1)
    cosines = np.clip(random.normal(0.68, 0.1, (len(rows), 1)), 0.4, 0.9)
    noise = random.normal(size=rows.shape)
    noise -= (noise * rows).sum(axis=1, keepdims=True) * rows
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return np.asarray(cosines * rows + np.sqrt(1 - cosines**2) * noise, np.float32)


def p50_ms(search: Callable[[NDArray[np.float32], int], object], queries: NDArray[np.float32]) -> float:
    """Return how long one search takes in the middle, after a few to warm up."""
    for query in queries[:5]:
        search(query[None], 1)
    taken = []
    for query in queries:
        begun = time.perf_counter()
        search(query[None], 1)
        taken.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(taken)


def measure(count: int, dimensions: int, *, cells: bool) -> dict[str, Any]:
    """Return the figures of one size."""
    rows = people(count, dimensions)
    queries = pictures(rows[np.random.default_rng(2).integers(0, count, QUERIES)])
    process = psutil.Process()
    before = process.memory_info().rss
    gallery = Gallery(count)
    begun = time.perf_counter()
    for start in range(0, count, PART):
        part = rows[start : start + PART]
        numbers = np.arange(start, start + len(part), dtype=np.int64)
        gallery.apply(Changes(start + 1, numbers, part, _NOBODY))
    built_s = time.perf_counter() - begun
    memory = (process.memory_info().rss - before) / gallery.nbytes
    found = np.array([gallery.search(query[None], 1)[1][0, 0] for query in queries])
    ours = p50_ms(gallery.search, queries)
    flat = faiss.IndexFlatIP(dimensions)
    flat.add(rows)
    exact = flat.search(queries, 1)[1][:, 0]
    faiss.omp_set_num_threads(1)
    raw = p50_ms(flat.search, queries[:60])
    figures: dict[str, Any] = {
        "vectors": count,
        "dimensions": dimensions,
        "p50 ms": ours,
        "recall@1": float(np.mean(found == exact)),
        "FAISS flat p50 ms": raw,
        "memory / index": memory,
        "index MB": gallery.nbytes / 1e6,
        "build s": built_s,
    }
    change = Changes(count + 1, np.arange(10, dtype=np.int64), rows[:10], _NOBODY)
    begun = time.perf_counter()
    gallery.apply(change)
    figures["10 changes ms"] = (time.perf_counter() - begun) * 1e3
    del flat, gallery
    if cells:
        figures |= _cells(rows, queries, exact)
    return figures


def _cells(
    rows: NDArray[np.float32], queries: NDArray[np.float32], exact: NDArray[np.int64]
) -> dict[str, Any]:
    """Return what an index of cells finds and takes, at several numbers of cells that are looked at."""
    faiss.omp_set_num_threads(2)
    dimensions = rows.shape[1]
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dimensions),
        dimensions,
        CELLS,
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
        False,  # noqa: FBT003 - FAISS knows no names here
    )
    index.train(rows[: CELLS * 64])
    index.add(rows)
    faiss.omp_set_num_threads(1)
    figures = {}
    for probed in PROBED:
        index.nprobe = probed
        found = np.array([index.search(query[None], 1)[1][0, 0] for query in queries])
        share = f"cells {probed} of {CELLS}"
        figures[f"{share}: recall@1"] = float(np.mean(found == exact))
        figures[f"{share}: p50 ms"] = p50_ms(index.search, queries)
    return figures


def loading(count: int, dimensions: int) -> dict[str, Any]:
    """Return how long a library takes from the database to its first answer."""
    with tempfile.TemporaryDirectory(prefix="facefleet-bench-") as folder:
        return asyncio.run(_loading(Path(folder), people(count, dimensions)))


async def _loading(folder: Path, rows: NDArray[np.float32]) -> dict[str, Any]:
    database = Database(database_url(None, folder))
    await migrate(database)
    library = uuid.uuid4()
    _fill(folder / "facefleet.db", library, rows)
    query = pictures(rows[7:8])
    process = psutil.Process()
    del rows
    before = process.memory_info().rss
    shelf = Shelf(DatabaseGalleries(database), 10**11, patience_s=600)
    begun = time.perf_counter()
    await shelf.search(library, 1, query, 1)
    took_s = time.perf_counter() - begun
    grown = process.memory_info().rss - before
    figures = {"load s": took_s, "memory after / index": grown / shelf.nbytes}
    await shelf.close()
    await database.close()
    return figures


def _fill(file: Path, library: uuid.UUID, rows: NDArray[np.float32]) -> None:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
    head = (
        library.hex,
        uuid.uuid4().hex,
        "bench",
        "bench",
        1,
        0,
        len(rows) + 1,
        len(rows),
        len(rows),
        now,
        now,
    )
    with sqlite3.connect(file) as connection:
        connection.execute(
            "INSERT INTO libraries (id, owner, handle, space, revision, forgotten_revision, next_number,"
            " person_count, face_count, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            head,
        )
        connection.executemany(
            "INSERT INTO persons (library_id, number, handle, template, revision, face_count, created_at,"
            " updated_at) VALUES (?, ?, ?, ?, 1, 1, ?, ?)",
            (
                (library.hex, number, str(number), row.astype("<f2").tobytes(), now, now)
                for number, row in enumerate(rows, 1)
            ),
        )
    connection.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs=2, action="append", metavar=("VECTORS", "DIMENSIONS"))
    parser.add_argument("--cells", action="store_true", help="measure an index of cells beside")
    parser.add_argument("--no-load", action="store_true", help="leave out loading from a database")
    parser.add_argument("--only-load", action="store_true", help="leave out everything else")
    parser.add_argument("--out", type=Path, default=Path("bench/gallery.json"))
    options = parser.parse_args(arguments)
    taken = []
    for count, dimensions in options.size or SIZES:
        figures: dict[str, Any] = {"vectors": count, "dimensions": dimensions}
        if not options.only_load:
            figures |= measure(count, dimensions, cells=options.cells)
        if not options.no_load:
            figures |= loading(count, dimensions)
        taken.append(figures)
        table = Table(title=f"{count:,} vectors of {dimensions}", title_justify="left", show_header=False)
        for name, value in list(figures.items())[2:]:
            table.add_row(name, f"{value:.4g}")
        Console().print(table)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(taken, indent=2))


if __name__ == "__main__":
    main()
