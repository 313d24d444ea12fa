"""The app over a fake engine, spoken to over HTTP without a network."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr

from app import admin_password
from app.api import create_app
from app.db.engine import Database, database_url
from app.db.migrate import migrate
from app.services import Services, open_services
from app.settings import Settings
from tests.fakes.engine import FakeEngine
from tests.servers import Postgres, S3Server, postgres_server, redis_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords at the least price: at the right one they are half of the time of these tests."""
    quick = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(admin_password, "PasswordHasher", quick)


@pytest.fixture
def engine() -> FakeEngine:
    """Return an engine that sees two faces in every picture."""
    return FakeEngine()


@pytest.fixture
def key() -> str:
    """Return a key that is let in."""
    return "the-key-of-this-test"


@pytest.fixture
def settings(tmp_path: Path, key: str) -> Settings:
    """Return settings of a service that keeps nothing."""
    return Settings(
        home=tmp_path, max_image_bytes=100_000, database_enabled=False, bootstrap_key=SecretStr(key)
    )


@pytest.fixture
async def services(engine: FakeEngine, settings: Settings) -> AsyncIterator[Services]:
    """Return a service over the fake engine."""
    async with open_services(settings, engine) as opened:
        yield opened


@pytest.fixture
async def client(services: Services, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that sends the key with every request."""
    async with client_of(create_app(services), key) as made:
        yield made


def client_of(app: object, key: str | None = None) -> httpx.AsyncClient:
    """Return a client of this app."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),  # type: ignore[arg-type] # any ASGI app will do
        base_url="http://facefleet.test",
        headers={"X-API-Key": key} if key else {},
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run a real PostgreSQL."""
    with postgres_server(os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Run a real server that speaks S3; tests that stop it start one of their own."""
    server = S3Server()
    server.start()
    yield server
    server.forget()
    server.stop()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Run a real Redis."""
    with redis_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def db_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a new, empty database; each test runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'facefleet.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
async def database(db_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    """Return an open database whose schema is up to date."""
    opened = Database(database_url(db_url, tmp_path))
    await migrate(opened)
    yield opened
    await opened.close()
