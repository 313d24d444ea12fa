"""A SQLite file: how its connections are set up, and a short way to write many rows."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.db.bulk import PlainBulk, ask_plainly
from app.db.failures import from_sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL, CompoundSelect, Connection, Engine, Select

    from app.db.bulk import Bulk

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

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")

    async def write(self, work: Callable[[Bulk], T], before: Callable[[], None]) -> T:
        """Do work in one transaction, and something else before it begins."""

        def both() -> T:
            before()
            return self._write(work)

        return await asyncio.get_running_loop().run_in_executor(self._thread, both)

    async def close(self) -> None:
        """Give connection and thread back."""
        await asyncio.to_thread(self._thread.shutdown)
        if self._connection is not None:
            self._connection.close()

    async def ask(self, question: Select[Any] | CompoundSelect[Any]) -> list[Any]:
        """Return the first column of the answer to a question that is soon answered."""

        def answer() -> list[Any]:
            with naming_trouble():
                return ask_plainly(self._cursor(), question)

        return await asyncio.get_running_loop().run_in_executor(self._thread, answer)

    def _write(self, work: Callable[[Bulk], T]) -> T:
        with naming_trouble():
            cursor = self._cursor()
            cursor.execute(_WRITE[0])
            try:
                done = work(PlainBulk(cursor))
                cursor.execute("COMMIT")
            except BaseException:
                if cursor.connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise
        return done

    def _cursor(self) -> sqlite3.Cursor:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection.cursor()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        _set_up(connection, *_WRITE[1:])
        return connection


@contextmanager
def naming_trouble() -> Iterator[None]:
    """Say which trouble it is when the file cannot be written or read."""
    try:
        yield
    except sqlite3.Error as error:
        if unavailable := from_sqlite(error):
            raise unavailable from error
        raise


def _options(connections: int) -> dict[str, Any]:
    return {
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": BUSY_TIMEOUT_S,
        # No implicit transactions by the driver: ours say which kind they are.
        "connect_args": {"timeout": BUSY_TIMEOUT_S, "isolation_level": None},
    }


def _prepare(engine: Engine, begin: str, *pragmas: str) -> None:
    """Set up each connection that the engine will make, and how its transactions begin."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection
        _set_up(connection, *pragmas)

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _set_up(connection: Any, *pragmas: str) -> None:  # noqa: ANN401 - the driver's own, or what stands for it
    cursor = connection.cursor()
    for pragma in (*pragmas, *_BOTH):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
