"""Keys: who is let in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from app.api import create_app
from app.keys import OnlyKey, new_secret
from app.services import open_services
from app.settings import Settings
from tests.app.conftest import client_of

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.fakes.engine import FakeEngine

PICTURE = {"image": b"a picture"}


@pytest.mark.parametrize("key", ["xyl_your_api_key_here", new_secret()], ids=["given", "made"])
async def test_without_a_database_one_key_opens_the_door(key: str) -> None:
    """The key that the operator set is let in, whatever its form, and a look-alike is not."""
    keys = OnlyKey(SecretStr(key))
    assert await keys.check(key) is not None
    for wrong in ("", key[:-1], key + "x", key.upper() + "X", " " + key, "\udce9" * 10, "x" * 100_000):
        assert await keys.check(wrong) is None


async def test_without_any_key_nobody_is_let_in() -> None:
    """Where no key was set, none is right, not even an empty one."""
    assert await OnlyKey(None).check("") is None


@pytest.mark.parametrize("path", ["/api/v1/detect", "/api/v1/mask"])
async def test_without_a_key_nobody_is_let_in(client: httpx.AsyncClient, path: str) -> None:
    """A missing, empty or wrong key is a 401, whatever else is wrong with the request."""
    client.headers.pop("x-api-key")
    for headers in ({}, {"X-API-Key": ""}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}):
        for query in ("", "?confidence=7"):
            answer = await client.post(path + query, headers=headers, files=PICTURE)
            assert answer.status_code == 401
            assert answer.json() == {"detail": "A valid key is needed in the X-API-Key header."}


@pytest.mark.parametrize("name", ["X-API-Key", "x-api-key", "X-Api-KEY"])
async def test_the_header_has_any_case(client: httpx.AsyncClient, key: str, name: str) -> None:
    """HTTP header names have no case."""
    client.headers.pop("x-api-key")
    assert (await client.post("/api/v1/detect", headers={name: key}, files=PICTURE)).status_code == 200


async def test_keys_can_be_switched_off(engine: FakeEngine, tmp_path: Path) -> None:
    """Where keys are off everybody is let in, also with a wrong key."""
    settings = Settings(home=tmp_path, api_key_enabled=False, database_enabled=False)
    async with open_services(settings, engine) as services, client_of(create_app(services)) as client:
        for headers in ({}, {"X-API-Key": "wrong"}):
            answer = await client.post("/api/v1/detect", headers=headers, files=PICTURE)
            assert answer.status_code == 200
