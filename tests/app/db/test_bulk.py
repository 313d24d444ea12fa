"""Rows written without SQLAlchemy are the rows that SQLAlchemy would have written."""

from __future__ import annotations

import json
import sqlite3
import uuid
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select

from app.db.engine import Database, database_url
from app.db.migrate import migrate
from app.db.tables import ImageRow, JobRow, OriginalRow
from app.db.upsert import DIALECTS, insert_for
from app.records import tallies
from pipelines.errors import DependencyDown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from app.db.bulk import Bulk

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)
ELSEWHERE = timezone(timedelta(hours=2))
HASH = bytes(range(32))


def original(number: int) -> dict[str, Any]:
    """Return a row of a picture."""
    return {
        "content_hash": HASH[::-1] if number else HASH,
        "object_key": f"originals/{number}",
        "size_bytes": 2**40,
        "image_count": 1,
    }


def image(number: int, at: datetime) -> dict[str, Any]:
    """Return a row of an upload."""
    return {
        "id": uuid.UUID(int=number + 1),
        "content_hash": HASH,
        "format": "jpeg",
        "width": 640,
        "height": 480,
        "size_bytes": 3,
        "created_at": at,
        "api_key_id": uuid.UUID(int=2**127 + number) if number else None,
    }


def job(number: int, at: datetime) -> dict[str, Any]:
    """Return a row of a job, with everything that JSON can hold."""
    return {
        "id": uuid.UUID(int=number + 1),
        "image_id": uuid.UUID(int=1),
        "job_type": "detect",
        "method": None,
        "options": {"model": None, "confidence": 0.1, "words": ["ä", '"', "\u2028", "😀"]},
        "model": "it's; -- a name",
        "face_count": 0,
        "payload": {"z": 1e-7, "a": [1, -2.5, True, False, None, {}], "": "\x00\n\\"},
        "processed_key": None,
        "processed_bytes": None,
        "inference_ms": 1 / 3,
        "total_ms": 1e300,
        "request_id": "r",
        "created_at": at,
        "api_key_id": None,
    }


@pytest.fixture
async def sqlite_file(tmp_path: Path) -> AsyncIterator[Database]:
    """Return an open SQLite database."""
    opened = Database(database_url(None, tmp_path))
    await migrate(opened)
    yield opened
    await opened.close()


async def test_either_way_the_file_holds_the_same(sqlite_file: Database, tmp_path: Path) -> None:
    """Column by column; and each row is read back as what it was."""
    moments = [AT, AT.replace(microsecond=89, tzinfo=ELSEWHERE)]
    rows: list[tuple[Any, list[dict[str, Any]]]] = [
        (OriginalRow, [original(0), original(1)]),
        (ImageRow, [image(number, at) for number, at in enumerate(moments)]),
        (JobRow, [job(number, at) for number, at in enumerate(moments)]),
    ]

    def write(tx: Bulk) -> None:
        for table, its_rows in rows:
            tx.run(insert(table), its_rows)

    await sqlite_file.write(write)
    plain = held(tmp_path)
    async with sqlite_file.read() as tx:
        for table, its_rows in rows:
            found = (await tx.execute(select(table.__table__))).all()
            assert [row._asdict() for row in found] == its_rows
            if "payload" in its_rows[0]:
                assert [list(row.payload) for row in found] == [["z", "a", ""]] * 2
    async with sqlite_file.transaction() as tx:
        for table, _ in reversed(rows):
            await tx.execute(table.__table__.delete())
        for table, its_rows in rows:
            await tx.execute(insert(table), its_rows)
    assert plain == held(tmp_path)


def held(home: Path) -> list[list[Any]]:
    """Return what the file holds, whoever wrote it; of JSON only what it says."""
    found = []
    with closing(sqlite3.connect(home / "facefleet.db")) as connection:
        connection.row_factory = sqlite3.Row
        for question in (
            "SELECT * FROM originals ORDER BY object_key",
            "SELECT * FROM images ORDER BY id",
            "SELECT * FROM jobs ORDER BY id",
        ):
            rows = [dict(row) for row in connection.execute(question)]
            for row in rows:
                row |= {name: json.loads(row[name]) for name in ("options", "payload") if name in row}
            found.append(rows)
    return found


async def test_work_that_raises_leaves_nothing(sqlite_file: Database) -> None:
    """What was written before the error is undone, and the next one finds the door open."""

    def fail_half_way(tx: Bulk) -> None:
        tallies.add_here(tx, {"x": 1})
        message = "on purpose"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="on purpose"):
        await sqlite_file.write(fail_half_way)
    await sqlite_file.write(lambda tx: tallies.add_here(tx, {"y": 1}))
    async with sqlite_file.read() as tx:
        assert await tallies.totals(tx) == {"y": 1}


async def test_what_raises_before_writes_nothing(database: Database) -> None:
    """Work whose preparation fails is not begun."""

    def refuse() -> None:
        message = "on purpose"
        raise DependencyDown(message, 1)

    with pytest.raises(DependencyDown):
        await database.write(lambda tx: tallies.add_here(tx, {"x": 1}), refuse)
    async with database.read() as tx:
        assert await tallies.totals(tx) == {}


async def test_upserts_give_back_what_is_there(database: Database) -> None:
    """Inserting what is there already tells the older key, on either database."""
    dialect = next(each for each in DIALECTS if (each.name == "sqlite") == database.is_embedded)
    plain = insert_for(dialect, OriginalRow)
    statement = plain.on_conflict_do_update(
        index_elements=[OriginalRow.content_hash],
        set_={"image_count": OriginalRow.image_count + plain.excluded.image_count},
    ).returning(OriginalRow.content_hash, OriginalRow.object_key)
    first, second = original(0), original(1)
    await database.write(lambda tx: tx.run_returning(statement, [first]))
    again = {**first, "object_key": "another"}
    found = await database.write(lambda tx: tx.run_returning(statement, [again, second]))
    assert dict(found) == {HASH: "originals/0", HASH[::-1]: "originals/1"}
    keys = await database.ask(select(OriginalRow.object_key).where(OriginalRow.image_count == 2))
    assert list(keys) == ["originals/0"]


async def test_a_full_file_is_named_for_bulk_too(sqlite_file: Database) -> None:
    """A file that cannot grow says that there is no room, and goes on when there is."""
    rows = [original(0)]
    await sqlite_file.write(lambda tx: tallies.add_here(tx, {"x": 1}))
    batches = sqlite_file._batches  # noqa: SLF001 - the limit is one of its own connection
    assert batches is not None
    cursor = batches._cursor()  # noqa: SLF001 - as above
    pages = cursor.execute("PRAGMA page_count").fetchone()[0]
    cursor.execute(f"PRAGMA max_page_count = {pages}")
    rows[0]["object_key"] = "x" * 1_000_000
    with pytest.raises(DependencyDown, match="insufficient storage"):
        await sqlite_file.write(lambda tx: tx.run(insert(OriginalRow), rows))
    cursor.execute("PRAGMA max_page_count = 1000000")
    await sqlite_file.write(lambda tx: tx.run(insert(OriginalRow), rows))
