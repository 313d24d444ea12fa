"""Bring the schema up to date, at every start; any number of servers may try at once.

One of them works, the others wait and then find nothing to do. On PostgreSQL they meet at an advisory
lock, on SQLite at a lock file beside the database: SQLite's own lock does not cover the switch to
write-ahead logging.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from filelock import FileLock
from sqlalchemy import text

from app.db import migrations

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from app.db.engine import Database

MIGRATION_TIMEOUT_S = 600
_ADVISORY_LOCK = 0x0FACEF1EE7


async def migrate(database: Database) -> None:
    """Apply the changes that this database does not have yet: all of them, or none."""
    await (_migrate_sqlite(database) if database.is_embedded else _migrate_postgres(database))
    database.is_prepared = True


async def _migrate_sqlite(database: Database) -> None:
    path = Path(database.url.database or "")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock", timeout=MIGRATION_TIMEOUT_S, thread_local=False)
    await asyncio.to_thread(lock.acquire)
    try:
        await database.use_write_ahead_log()
        async with database.preparation() as tx:
            await tx.run_sync(_upgrade)
    finally:
        lock.release()


async def _migrate_postgres(database: Database) -> None:
    async with database.preparation() as tx:
        await tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        await tx.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
