"""A SQLite file: how its connections are set up, and a short way to write many rows."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.db.failures import as_unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import URL, Connection, Engine

T = TypeVar("T")

OLDEST = (3, 35, 0)  # the first with RETURNING
BUSY_TIMEOUT_S = 30
READERS = 4

_WRITE = ("BEGIN IMMEDIATE", "synchronous=FULL", "foreign_keys=ON")
_READ = ("BEGIN", "query_only=ON")
_BOTH = ("cache_size=-8000", "temp_store=MEMORY", "journal_size_limit=67108864")


def open_engines(url: URL) -> tuple[AsyncEngine, AsyncEngine]:
    """Open the file twice: for the one who writes and for those who read."""
    if sqlite3.sqlite_version_info < OLDEST:
        message = f"SQLite {sqlite3.sqlite_version} is too old: 3.35 or newer is needed"
        raise RuntimeError(message)
    writer = create_async_engine(url, **_options(1))
    _prepare(writer.sync_engine, *_WRITE)
    reader = create_async_engine(url, **_options(READERS))
    _prepare(reader.sync_engine, *_READ)
    return writer, reader


class BatchWriter:
    """Writes on a thread and a connection of its own, without a change of threads for every statement."""

    def __init__(self, url: URL) -> None:
        self._engine = create_engine(url.set(drivername="sqlite"), **_options(1, check_same_thread=False))
        _prepare(self._engine, *_WRITE)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do work in one transaction."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, work)

    async def close(self) -> None:
        """Give connection and thread back."""
        await asyncio.to_thread(self._thread.shutdown)
        self._engine.dispose()

    def _write(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            if unavailable := as_unavailable(error):
                raise unavailable from error
            raise


def _options(connections: int, **connect_args: object) -> dict[str, Any]:
    return {
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": BUSY_TIMEOUT_S,
        # No implicit transactions by the driver: ours say which kind they are.
        "connect_args": {"timeout": BUSY_TIMEOUT_S, "isolation_level": None, **connect_args},
    }


def _prepare(engine: Engine, begin: str, *pragmas: str) -> None:
    """Set up each connection that the engine will make, and how its transactions begin."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection
        cursor = connection.cursor()
        for pragma in (*pragmas, *_BOTH):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
