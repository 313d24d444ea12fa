"""A service that keeps what it answers, on either pair of database and storage, and those who look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import SecretStr

from app.api import create_app
from app.services import Services, open_services
from app.settings import Settings
from tests.app.conftest import client_of
from tests.servers import ACCESS_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.fakes.engine import FakeEngine
    from tests.servers import Postgres, S3Server

PASSWORD = "correct horse battery staple"  # noqa: S105 - of a test
BASIC = ("admin", PASSWORD)
#: For requests without the password that a client otherwise sends.
NO_AUTH = httpx.Auth()
ADMIN = "/api/v1/admin"
PICTURE = {"image": ("photo.jpg", b"the bytes of a picture", "image/jpeg")}

EMBEDDED = "sqlite+folder"
#: A database and an object storage that go together.
PAIRS = (EMBEDDED, "postgresql+s3")


def embedded(home: Path, key: str, **others: object) -> Settings:
    """Return settings of a service with all its parts in a folder."""
    values = {"home": home, "bootstrap_key": SecretStr(key), "admin_password": SecretStr(PASSWORD)}
    return Settings.model_validate(values | others)


@pytest.fixture(params=PAIRS)
def settings(request: pytest.FixtureRequest, tmp_path: Path, key: str) -> Settings:
    """Return settings of an empty service; each test runs on both pairs."""
    return embedded(tmp_path, key, **parts_of(request))


def parts_of(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the settings that name new, empty parts of the pair that this test runs on."""
    if request.param == EMBEDDED:
        return {}
    postgres: Postgres = request.getfixturevalue("postgres")
    s3_server: S3Server = request.getfixturevalue("s3_server")
    return {
        "database_url": postgres.new_database(),
        "s3_bucket": s3_server.new_bucket(),
        "s3_endpoint": s3_server.endpoint,
        "s3_access_key_id": ACCESS_KEY,
        "s3_secret_access_key": ACCESS_KEY,
    }


@pytest.fixture
async def services(engine: FakeEngine, settings: Settings) -> AsyncIterator[Services]:
    """Return a service over the fake engine."""
    async with open_services(settings, engine) as opened:
        yield opened


@pytest.fixture
async def admin(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that sends the administrator's name and password."""
    async with client_of(create_app(services)) as made:
        made.auth = BASIC
        yield made


@pytest.fixture
async def stranger(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that has nothing."""
    async with client_of(create_app(services)) as made:
        yield made


@pytest.fixture
async def browser(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that has logged in."""
    async with client_of(create_app(services)) as made:
        await log_in(made)
        yield made


async def log_in(client: httpx.AsyncClient, password: str = PASSWORD) -> httpx.Response:
    """Log a client in; its cookie stays with it."""
    return await client.post(f"{ADMIN}/auth/login", json={"username": "admin", "password": password})
