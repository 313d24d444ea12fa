"""How many requests one key or address may make: exact over all replicas, in any minute that one looks at.

    hit("detect", "300/minute", who) -> Allowance(is_allowed, limit, remaining, reset_at)

The window moves: the hits of the last minute count, so at no moment twice the limit passes, as it does with
counters that start anew each minute. Replicas on one machine share the count in a small file, replicas on
several machines share it in Redis.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError
from redis.asyncio import ConnectionPool

from pipelines.errors import DependencyDown

if TYPE_CHECKING:
    from pathlib import Path

PURGE_EVERY_S = 60.0
BUSY_TIMEOUT_S = 5.0
REDIS_TIMEOUT_S = 3.0
#: What a limit reads like where there is none.
NO_LIMIT = "off"
AWAY = "the limits cannot be counted now"

_SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=OFF;
CREATE TABLE IF NOT EXISTS hits (who TEXT NOT NULL, at REAL NOT NULL, until REAL NOT NULL);
CREATE INDEX IF NOT EXISTS hits_who_at ON hits (who, at);
"""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a limit.

    Attributes:
        is_allowed: whether this request may pass; if not, it was not counted.
        limit: how many may pass in the window.
        remaining: how many more may pass now.
        reset_at: Unix time at which the oldest counted request leaves the window.
    """

    is_allowed: bool
    limit: int
    remaining: int
    reset_at: float

    def retry_after_s(self, now: float | None = None) -> int:
        """Return after how many seconds another request will pass."""
        return max(1, math.ceil(self.reset_at - (time.time() if now is None else now)))


class Limiter(Protocol):
    """Counts requests. Raises `DependencyDown` where it cannot."""

    async def hit(self, scope: str, limit: str, who: str) -> Allowance:
        """Count a request if it may pass; `limit` reads like `300/minute`."""

    async def close(self) -> None:
        """Give connections and threads back."""


@lru_cache(maxsize=64)
def parse_limit(limit: str) -> RateLimitItem:
    """Read a limit.

    Raises:
        ValueError: it cannot be read.
    """
    return parse(limit)


class FileLimiter:
    """Counts in a file that all replicas of this machine open; only the last minute is in it."""

    def __init__(self, path: Path) -> None:
        # One thread: SQLite would make more of them wait for each other anyway.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="limits")
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._purge_at = 0.0

    async def hit(self, scope: str, limit: str, who: str) -> Allowance:
        """Count a request if it may pass."""
        item = parse_limit(limit)
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, self._hit, f"{scope}\n{item}\n{who}", item.amount, item.get_expiry()
            )
        except (sqlite3.Error, OSError) as error:
            raise DependencyDown(AWAY) from error

    async def close(self) -> None:
        """Close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        await asyncio.to_thread(self._thread.shutdown)

    def _hit(self, who: str, limit: int, window_s: int) -> Allowance:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            now = time.time()  # after the lock: hits are counted in the order of their times
            self._purge(connection, now)
            connection.execute("DELETE FROM hits WHERE who = ? AND at <= ?", (who, now - window_s))
            count, oldest = connection.execute(
                "SELECT count(*), min(at) FROM hits WHERE who = ?", (who,)
            ).fetchone()
            is_allowed = count < limit
            if is_allowed:
                connection.execute("INSERT INTO hits VALUES (?, ?, ?)", (who, now, now + window_s))
                count += 1
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        return Allowance(is_allowed, limit, limit - count, (now if oldest is None else oldest) + window_s)

    def _purge(self, connection: sqlite3.Connection, now: float) -> None:
        """Forget those who do not come back."""
        if now >= self._purge_at:
            self._purge_at = now + PURGE_EVERY_S
            connection.execute("DELETE FROM hits WHERE until <= ?", (now,))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                self._connection = _connect(self._path)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self._path.unlink(missing_ok=True)  # broken by a power cut
                self._connection = _connect(self._path)
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class RedisLimiter:
    """Counts in Redis."""

    def __init__(self, url: str) -> None:
        self._pool = ConnectionPool.from_url(
            url, max_connections=64, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S
        )
        storage = RedisStorage(
            f"async+{url}",
            wrap_exceptions=True,
            implementation="redispy",
            connection_pool=self._pool,  # type: ignore[arg-type] # documented, but not in the signature
        )
        self._strategy = MovingWindowRateLimiter(storage)

    async def hit(self, scope: str, limit: str, who: str) -> Allowance:
        """Count a request if it may pass."""
        item = parse_limit(limit)
        try:
            is_allowed = await self._strategy.hit(item, scope, who)
            stats = await self._strategy.get_window_stats(item, scope, who)
        except StorageError as error:
            raise DependencyDown(AWAY) from error
        return Allowance(is_allowed, item.amount, max(0, stats.remaining), stats.reset_time)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.disconnect()


def open_limiter(home: Path, redis_url: str | None) -> Limiter:
    """Return the limiter that is exact for this installation."""
    return RedisLimiter(redis_url) if redis_url else FileLimiter(home / "run" / "limits.sqlite")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        with closing(connection.cursor()) as cursor:
            cursor.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection
