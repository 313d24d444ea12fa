"""The schema's history, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from app.db.engine import Database, database_url
from app.db.migrate import migrate
from app.db.tables import Table

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

MIGRATE = """
import asyncio, sys
from pathlib import Path
from app.db.engine import Database, database_url
from app.db.migrate import migrate

async def main():
    database = Database(database_url(sys.argv[1], Path(".")))
    sys.stdin.readline()
    await migrate(database)
    await database.close()

asyncio.run(main())
"""


async def test_tables_and_migrations_agree(database: Database) -> None:
    """What the migrations build is what the code expects, column by column and index by index."""

    def differences(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection), Table.metadata)

    async with database.preparation() as tx:
        assert await tx.run_sync(differences) == []


async def test_two_servers_migrate_at_once(db_url: str, tmp_path: Path) -> None:
    """Of processes that start at the same moment on an empty database, all succeed."""
    command = [sys.executable, "-c", MIGRATE, db_url]
    pipe = asyncio.subprocess.PIPE
    processes = [await asyncio.create_subprocess_exec(*command, stdin=pipe, stderr=pipe) for _ in range(3)]
    await asyncio.sleep(2.0)  # all have imported and wait for the sign
    ends = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    for process, (_, errors) in zip(processes, ends, strict=True):
        assert process.returncode == 0, errors.decode()

    database = Database(database_url(db_url, tmp_path))
    await migrate(database)
    async with database.read() as looking:
        assert (await looking.execute(text("SELECT count(*) FROM alembic_version"))).scalar_one() == 1
    await database.close()


async def test_a_second_start_changes_nothing(database: Database) -> None:
    """Rows outlive a migration that finds nothing to do."""
    async with database.transaction() as tx:
        await tx.execute(text("INSERT INTO tallies (name, amount) VALUES ('x', 7)"))
    await migrate(database)
    async with database.read() as looking:
        assert (await looking.execute(text("SELECT amount FROM tallies"))).scalar_one() == 7
