"""Everything that remembers, open on either pair: SQLite and a folder, PostgreSQL and S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from app.persistence import Persistence, PersistenceOptions, Storage, open_persistence
from app.records.values import Actor
from tests.app.storage.conftest import s3_place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.servers import Postgres, S3Server


@pytest.fixture(params=["sqlite+folder", "postgresql+s3"])
def options(request: pytest.FixtureRequest, tmp_path: Path) -> PersistenceOptions:
    """Return options for an empty installation; each test runs on both pairs."""
    if request.param == "sqlite+folder":
        return PersistenceOptions(home=tmp_path)
    postgres: Postgres = request.getfixturevalue("postgres")
    s3_server: S3Server = request.getfixturevalue("s3_server")
    url = SecretStr(postgres.new_database())
    return PersistenceOptions(home=tmp_path, database_url=url, s3=s3_place(s3_server))


@pytest.fixture
async def persistence(options: PersistenceOptions) -> AsyncIterator[Persistence]:
    """Return an empty installation."""
    async with open_persistence(options) as opened:
        yield opened


@pytest.fixture
def storage(persistence: Persistence) -> Storage:
    """Return its tier that keeps pictures."""
    assert persistence.storage is not None
    return persistence.storage


@pytest.fixture
def admin() -> Actor:
    """Return an administrator."""
    return Actor("admin", "192.0.2.1")
