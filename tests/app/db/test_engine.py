"""The database through its one door, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from app.db.engine import Database, database_url
from app.db.migrate import migrate
from app.db.tables import TallyRow
from app.records import tallies
from pipelines.errors import DependencyDown, InvalidOption

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Postgres


async def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    """What was written before the error is undone."""

    async def fail_half_way() -> None:
        async with database.transaction() as tx:
            await tx.execute(insert(TallyRow).values(name="x", amount=1))
            message = "on purpose"
            raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail_half_way()
    async with database.read() as looking:
        assert (await looking.scalars(select(TallyRow.name))).all() == []


async def test_looking_cannot_change(database: Database) -> None:
    """A reading connection refuses to write."""
    with pytest.raises((DBAPIError, DependencyDown)):
        async with database.read() as tx:
            await tx.execute(text("DELETE FROM tallies"))
    async with database.transaction() as tx:  # and the same pool still writes
        await tallies.add(tx, {"x": 1})


async def test_two_hundred_clients_write_and_read_at_once(database: Database) -> None:
    """Nobody is told that the database is locked, and no change is lost."""

    async def client() -> None:
        for _ in range(2):
            async with database.transaction() as tx:
                await tallies.add(tx, {"hits": 1})
            async with database.read() as looking:
                await tallies.totals(looking)

    await asyncio.gather(*(client() for _ in range(200)))
    async with database.read() as looking:
        assert (await tallies.totals(looking))["hits"] == 400


async def test_a_cancelled_writer_blocks_nobody(database: Database) -> None:
    """A client that hangs up in its transaction gives the writer's place back, and changes nothing."""
    entered = asyncio.Event()

    async def hang() -> None:
        async with database.transaction() as tx:
            await tallies.add(tx, {"hits": 1})
            entered.set()
            await asyncio.sleep(60)

    hanging = asyncio.create_task(hang())
    await entered.wait()
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)

    async def work() -> int:
        async with database.transaction() as tx:
            await tallies.add(tx, {"hits": 1})
        async with database.read() as looking:
            return (await tallies.totals(looking))["hits"]

    assert await asyncio.wait_for(work(), 5) == 1


async def test_a_database_that_goes_away_is_named_and_comes_back(postgres: Postgres, tmp_path: Path) -> None:
    """While it is away callers hear so; once it is back the same pool works again."""
    url = postgres.new_database()
    database = Database(database_url(url, tmp_path))
    await migrate(database)
    assert await database.ready()
    postgres.forbid_connections(url)
    with pytest.raises(DependencyDown) as away:
        async with database.transaction() as tx:
            await tallies.add(tx, {"hits": 1})
    assert away.value.retry_after_s > 0
    assert not await database.ready()
    postgres.allow_connections(url)
    assert await database.ready()
    async with database.transaction() as tx:
        await tallies.add(tx, {"hits": 1})
    await database.close()


async def test_a_connection_cut_in_a_transaction_is_named(postgres: Postgres, tmp_path: Path) -> None:
    """Work that loses its connection half way says so and leaves nothing."""
    url = postgres.new_database()
    database = Database(database_url(url, tmp_path))
    await migrate(database)

    async def lose_connection() -> None:
        async with database.transaction() as tx:
            await tallies.add(tx, {"hits": 1})
            await asyncio.to_thread(postgres.forbid_connections, url)
            await tallies.add(tx, {"hits": 1})

    with pytest.raises(DependencyDown):
        await lose_connection()
    postgres.allow_connections(url)
    async with database.read() as looking:
        assert (await tallies.totals(looking))["hits"] == 0
    await database.close()


async def test_a_text_that_cannot_be_kept_is_the_callers_fault(postgres: Postgres, tmp_path: Path) -> None:
    """PostgreSQL takes no NUL: whoever sends one hears so, whichever way it came."""
    database = Database(database_url(postgres.new_database(), tmp_path))
    await migrate(database)
    with pytest.raises(InvalidOption, match="cannot be kept"):
        async with database.transaction() as tx:
            await tx.execute(insert(TallyRow).values(name="a\x00b", amount=1))
    with pytest.raises(InvalidOption, match="cannot be kept"):
        await database.write(lambda tx: tallies.add_here(tx, {"a\x00b": 1}))
    await database.close()


async def test_an_address_where_nobody_listens_is_named(tmp_path: Path) -> None:
    """A wrong port is a dependency that is down, not a crash."""
    database = Database(database_url("postgres://nobody@127.0.0.1:1/none", tmp_path))
    with pytest.raises(DependencyDown, match="does not answer"):
        await migrate(database)
    await database.close()


async def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """SQLite that cannot grow its file says that there is no room, and goes on when there is."""
    database = Database(database_url(None, tmp_path))
    await migrate(database)
    async with database.preparation() as tx:
        pages = await tx.scalar(text("PRAGMA page_count"))
        await tx.execute(text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(DependencyDown, match="insufficient storage"):
        async with database.transaction() as tx:
            await tx.execute(text("CREATE TABLE filler AS SELECT hex(zeroblob(100000)) AS x"))
    async with database.preparation() as tx:
        await tx.execute(text("PRAGMA max_page_count = 1000000"))
    async with database.transaction() as tx:
        await tallies.add(tx, {"hits": 1})
    await database.close()


async def test_nothing_is_asked_of_an_unprepared_database(tmp_path: Path) -> None:
    """Before its schema is there, a database is away rather than broken."""
    database = Database(database_url(None, tmp_path))
    with pytest.raises(DependencyDown, match="not ready"):
        async with database.read() as tx:
            await tallies.totals(tx)
    assert not await database.ready()
    await database.close()


@pytest.mark.parametrize(
    ("configured", "driver"),
    [
        (None, "sqlite+aiosqlite"),
        ("sqlite:////data/x.db", "sqlite+aiosqlite"),
        ("postgres://u:p@h/db", "postgresql+asyncpg"),
        ("postgresql://u:p@h:5433/db?sslmode=require", "postgresql+asyncpg"),
        ("postgresql+asyncpg://u:p@h/db", "postgresql+asyncpg"),
    ],
)
def test_urls_are_taken_as_they_are_commonly_written(
    configured: str | None, driver: str, tmp_path: Path
) -> None:
    """An operator need not know which driver we use."""
    url = database_url(configured, tmp_path)
    assert url.drivername == driver
    assert "sslmode" not in url.query
    assert ":p@" not in str(url)


def test_other_databases_are_refused(tmp_path: Path) -> None:
    """A kind that we do not support is refused at the start."""
    with pytest.raises(ValueError, match="mysql"):
        database_url("mysql://h/db", tmp_path)
