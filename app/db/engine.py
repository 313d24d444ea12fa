"""One door to the database: `read()` for looking, `transaction()` for changing.

    async with database.transaction() as tx:   # everything in it happens, or nothing does
        await tx.execute(insert(...))

SQLite in this process: one connection writes, a few read. A transaction that writes takes the write lock at
its beginning (BEGIN IMMEDIATE), so it waits for its turn there, and never finds in its middle that another
writer was quicker, which is what "database is locked" says. Write-ahead logging lets readers go on
meanwhile. A commit is flushed to the disk (synchronous=FULL): what was acknowledged survives a power cut,
not only a killed process. `app.records` writes many requests' rows in one commit, so they share the flush.

PostgreSQL: a pool per process, each connection checked before use, so that a restarted server is found
without a failed request.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NewType, TypeVar

from asyncpg.exceptions import InterfaceError, PostgresError
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.db import sqlite
from app.db.bulk import EngineBulk
from app.db.failures import RETRY_AFTER_S, SILENT, UNPREPARED, as_told, as_unavailable
from pipelines.errors import DependencyDown, FacefleetError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection
    from pathlib import Path

    from sqlalchemy import URL, CompoundSelect, Connection, Select

    from app.db.bulk import Bulk

# Functions say which they need; whoever may write may also read.
Reading = NewType("Reading", AsyncConnection)
Writing = NewType("Writing", Reading)

READY_TIMEOUT_S = 1.5

T = TypeVar("T")


def _nothing() -> None:
    """Do nothing."""


def database_url(configured: str | None, home: Path) -> URL:
    """Return where the database is: what was configured, or a SQLite file in the service's own folder.

    `postgres://` and `postgresql://` are understood as they are commonly written, without a driver.
    """
    if not configured:
        return make_url(f"sqlite+aiosqlite:///{home / 'facefleet.db'}")
    url = make_url(configured)
    if url.drivername in {"postgres", "postgresql", "postgresql+asyncpg"}:
        return _for_asyncpg(url)
    if url.drivername in {"sqlite", "sqlite+aiosqlite"}:
        return url.set(drivername="sqlite+aiosqlite")
    message = f"databases of type {url.drivername!r} are not supported: use sqlite or postgresql"
    raise ValueError(message)


def _for_asyncpg(url: URL) -> URL:
    """Name the driver, and say `sslmode` in its words: other PostgreSQL clients take that parameter."""
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return url.set(drivername="postgresql+asyncpg", query=query)


class Database:
    """The open database of this process.

    Attributes:
        url: where it is; its text form hides the password.
        is_embedded: whether it is a file that this machine alone can open.
        is_prepared: whether its schema is up to date; until then it is not used.
    """

    def __init__(self, url: URL, *, pool_size: int = 5, pool_overflow: int = 10) -> None:
        self.url = url
        self.is_embedded = url.get_backend_name() == "sqlite"
        self.is_prepared = False
        self._batches: sqlite.BatchWriter | None
        if self.is_embedded:
            self._writer, self._reader = sqlite.open_engines(url)
            self._batches = sqlite.BatchWriter(str(url.database))
        else:
            self._batches = None
            self._writer = self._reader = _open_postgres(url, pool_size, pool_overflow)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Reading]:
        """Look at one state of the database; changing it is refused."""
        self._check_prepared()
        async with _connected(self._reader) as connection:
            if not self.is_embedded:
                await connection.execution_options(postgresql_readonly=True)
            async with connection.begin():
                yield Reading(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Writing]:
        """Change the database: committed when the block ends, undone when it raises."""
        self._check_prepared()
        async with self.preparation() as tx:
            yield tx

    async def write(self, work: Callable[[Bulk], T], before: Callable[[], None] = _nothing) -> T:
        """Insert rows that are at hand, in one transaction.

        For what is written many times a second: on SQLite it is one change of threads instead of a dozen,
        and statements that are ready (`app.db.bulk`).

        Args:
            work: inserts.
            before: is done first, outside the transaction; it may block.
        """
        self._check_prepared()
        if self._batches is not None:
            return await self._batches.write(work, before)
        await asyncio.to_thread(before)
        async with self.preparation() as tx:
            return await tx.run_sync(lambda connection: work(EngineBulk(connection)))

    async def ask(self, question: Select[Any] | CompoundSelect[Any]) -> Collection[Any]:
        """Return the first column of the answer to one short question, of plain texts and numbers.

        For what is asked all the time, as `write` is.
        """
        self._check_prepared()
        if self._batches is not None:
            return await self._batches.ask(question)
        async with self.read() as tx:
            return (await tx.scalars(question)).all()

    @asynccontextmanager
    async def preparation(self) -> AsyncIterator[Writing]:
        """Change the schema; only `app.db.migrate` does."""
        async with _connected(self._writer) as connection, connection.begin():
            yield Writing(Reading(connection))

    async def use_write_ahead_log(self) -> None:
        """Let readers of a SQLite file go on while one writes; the file remembers it."""
        async with _connected(self._writer) as connection:
            await connection.run_sync(_switch_to_wal)

    async def problem(self) -> str | None:
        """Say what keeps the database from answering now; None where it answers."""
        try:
            await asyncio.wait_for(self._ask(), READY_TIMEOUT_S)
        except FacefleetError as error:
            return error.message
        except (SQLAlchemyError, OSError, asyncio.TimeoutError):
            return SILENT
        return None

    async def ready(self) -> bool:
        """Tell whether the database answers now."""
        return await self.problem() is None

    def _check_prepared(self) -> None:
        if not self.is_prepared:
            raise DependencyDown(UNPREPARED, RETRY_AFTER_S)

    async def _ask(self) -> None:
        async with self.read() as tx:
            await tx.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Give all connections back."""
        if self._batches is not None:
            await self._batches.close()
        await self._reader.dispose()
        if self._writer is not self._reader:
            await self._writer.dispose()


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Borrow a connection, and say plainly when it was the database that failed."""
    try:
        connection = await engine.connect()
    except (OSError, asyncio.TimeoutError, PostgresError, InterfaceError) as error:
        # The driver's own errors come through bare here with SQLAlchemy 2.0.
        raise DependencyDown(SILENT, RETRY_AFTER_S) from error
    except SQLAlchemyError as error:
        # Whatever a database says to a connection that only begins, it is not ours to work with now.
        raise (as_unavailable(error) or DependencyDown(SILENT, RETRY_AFTER_S)) from error
    try:
        yield connection
    except SQLAlchemyError as error:
        if told := as_told(error):
            raise told from error
        raise
    finally:
        await connection.close()


def _switch_to_wal(connection: Connection) -> None:
    """Go round SQLAlchemy, which would begin a transaction: the journal cannot change inside one."""
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()


def _open_postgres(url: URL, pool_size: int, pool_overflow: int) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_overflow,
        pool_timeout=10,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={
            "timeout": 5,
            "command_timeout": 60,
            "server_settings": {"application_name": "facefleet"},
        },
    )
