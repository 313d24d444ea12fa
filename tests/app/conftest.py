"""The app over a fake engine, spoken to over HTTP without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from app.api import create_app
from app.keys import FileKeyStore, create_first_key
from app.services import Services
from app.settings import Settings
from tests.fakes.engine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def engine() -> FakeEngine:
    """Return an engine that sees two faces in every picture."""
    return FakeEngine()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings that keep everything in the test's own folder."""
    return Settings(home=tmp_path, max_image_bytes=100_000)


@pytest.fixture
def key(settings: Settings) -> str:
    """Return a key that is let in."""
    made = create_first_key(settings.home)
    assert made is not None
    return made


@pytest.fixture
async def client(engine: FakeEngine, settings: Settings, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that sends the key with every request."""
    app = create_app(Services(settings, engine, FileKeyStore(settings.home)))
    async with client_of(app, key) as made:
        yield made


def client_of(app: object, key: str | None = None) -> httpx.AsyncClient:
    """Return a client of this app."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),  # type: ignore[arg-type] # any ASGI app will do
        base_url="http://facefleet.test",
        headers={"X-API-Key": key} if key else {},
    )
