"""How long pages of the admin lists take over a million images, on SQLite and on PostgreSQL.

    python -m cluster.bench.admin_lists --images 1000000 --out build/admin_lists.json
    python -m cluster.bench.admin_lists --postgres postgresql://user@host/empty_database

Without `--postgres` a server is started from the wheel that the tests use.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
import uuid
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, text

from app.db.engine import Database, database_url
from app.db.ids import new_id
from app.db.migrate import migrate
from app.db.tables import ImageRow, JobRow, OriginalRow
from app.records import tallies
from app.records.listing import RecordReader
from cluster.bench.postgres import postgres

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from app.db.bulk import Bulk

ROUNDS = 15
BATCH = 5_000
PER_PAGE = 20
METHODS = ("gaussian", "pixelate", "solid", "elliptical")
FIRST_PAGE_MS = 50.0
PAGE_1000_MS = 150.0
_ORIGINALS, _IMAGES, _JOBS = insert(OriginalRow), insert(ImageRow), insert(JobRow)


@dataclass(frozen=True, slots=True)
class Measured:
    """How long one question took on one database."""

    database: str
    question: str
    median_ms: float
    slowest_ms: float
    limit_ms: float | None


def main() -> None:
    """Fill both databases, ask, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--postgres", help="an empty database; without it a server is started for the bench")
    parser.add_argument("--out", type=Path, default=Path("build/admin_lists.json"))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = asyncio.run(_measure("sqlite", None, Path(folder), chosen.images))
    _print(measured, chosen.images)
    with _postgres(chosen.postgres) as url:
        on_postgres = asyncio.run(_measure("postgresql", url, Path(), chosen.images))
    _print(on_postgres, chosen.images)
    measured += on_postgres
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    report = {"images": chosen.images, "measured": [asdict(one) for one in measured]}
    chosen.out.write_text(json.dumps(report, indent=2), "utf-8")


@contextmanager
def _postgres(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with postgres() as started:
        yield started.url


async def _measure(name: str, url: str | None, home: Path, images: int) -> list[Measured]:
    database = Database(database_url(url, home))
    await migrate(database)
    begun = time.perf_counter()
    await _fill(database, images)
    print(f"{name}: {images:,} images and jobs written in {time.perf_counter() - begun:.0f} s", flush=True)
    reader = RecordReader(database)
    last = -(-images // PER_PAGE)
    questions: list[tuple[str, Callable[[], Awaitable[Any]], float | None]] = [
        ("images, page 1", lambda: reader.list_images(1, PER_PAGE), FIRST_PAGE_MS),
        ("images, page 1,000", lambda: reader.list_images(1000, PER_PAGE), PAGE_1000_MS),
        ("images, page 1,000 of 100", lambda: reader.list_images(1000, 100), PAGE_1000_MS),
        ("images, middle page", lambda: reader.list_images(last // 2, PER_PAGE), None),
        ("images, last page", lambda: reader.list_images(last, PER_PAGE), None),
        ("jobs, page 1", lambda: reader.list_jobs(1, PER_PAGE), FIRST_PAGE_MS),
        ("jobs, page 1,000", lambda: reader.list_jobs(1000, PER_PAGE), PAGE_1000_MS),
        ("jobs of type mask, page 1,000", lambda: reader.list_jobs(1000, PER_PAGE, "mask"), PAGE_1000_MS),
        ("jobs of method solid, page 1,000", lambda: reader.list_jobs(1000, PER_PAGE, "mask", "solid"), None),
        ("stats", reader.stats, FIRST_PAGE_MS),
    ]
    measured = [await _time(name, question, ask, limit) for question, ask, limit in questions]
    await database.close()
    return measured


async def _time(
    database: str, question: str, ask: Callable[[], Awaitable[Any]], limit_ms: float | None
) -> Measured:
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        await ask()
        times.append((time.perf_counter() - begun) * 1000)
    # The slowest counts the first, cold one too.
    return Measured(database, question, statistics.median(times), max(times), limit_ms)


async def _fill(database: Database, images: int) -> None:
    first = datetime.now(timezone.utc) - timedelta(seconds=images)
    for start in range(0, images, BATCH):
        numbers = range(start, min(images, start + BATCH))
        await database.write(partial(_insert, first=first, numbers=numbers))
    if not database.is_embedded:  # what PostgreSQL does by itself within a minute of such a load
        async with database.preparation() as tx:
            await tx.execute(text("ANALYZE"))


def _insert(tx: Bulk, first: datetime, numbers: range) -> None:
    originals, images, jobs = [], [], []
    changes: Counter[str] = Counter()
    for number in numbers:
        at = first + timedelta(seconds=number)
        image_id, job_id, content_hash = new_id(at), new_id(at), uuid.uuid4().bytes * 2
        method = METHODS[number % len(METHODS)] if number % 2 else None
        job_type = "mask" if method else "detect"
        originals.append(
            {
                "content_hash": content_hash,
                "object_key": f"originals/{content_hash.hex()}-{image_id.hex}.jpeg",
                "size_bytes": 250_000,
                "image_count": 1,
            }
        )
        images.append(
            {
                "id": image_id,
                "content_hash": content_hash,
                "format": "jpeg",
                "width": 1280,
                "height": 886,
                "size_bytes": 250_000,
                "created_at": at,
                "api_key_id": None,
            }
        )
        jobs.append(
            {
                "id": job_id,
                "image_id": image_id,
                "job_type": job_type,
                "method": method,
                "options": {"confidence": 0.5, "nms_threshold": 0.4, "max_faces": 0},
                "model": "yunet",
                "face_count": 2,
                "payload": {
                    "detections": [{"index": index, "bbox": [1.5, 2.5, 3.5, 4.5]} for index in range(2)]
                },
                "processed_key": f"processed/{job_id.hex}.jpeg" if method else None,
                "processed_bytes": 200_000 if method else None,
                "inference_ms": 10.0,
                "total_ms": 20.0,
                "request_id": str(image_id),
                "created_at": at,
                "api_key_id": None,
            }
        )
        changes[tallies.jobs_name(job_type, method)] += 1
    changes[tallies.IMAGES] = len(images)
    changes[tallies.IMAGE_BYTES] = 250_000 * len(images)
    tx.run(_ORIGINALS, originals)
    tx.run(_IMAGES, images)
    tx.run(_JOBS, jobs)
    tallies.add_here(tx, changes)


def _print(measured: list[Measured], images: int) -> None:
    print(f"\n{images:,} images, {PER_PAGE} per page, total included, {ROUNDS} rounds")
    print(f"{'database':<12}{'question':<36}{'median ms':>10}{'slowest':>10}{'limit':>8}")
    for one in measured:
        limit = "" if one.limit_ms is None else f"{one.limit_ms:.0f}"
        late = "  LATE" if one.limit_ms is not None and one.median_ms > one.limit_ms else ""
        print(
            f"{one.database:<12}{one.question:<36}{one.median_ms:>10.1f}{one.slowest_ms:>10.1f}{limit:>8}{late}"
        )


if __name__ == "__main__":
    main()
