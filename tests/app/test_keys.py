"""Keys: who is let in, and how keys are kept."""

from __future__ import annotations

import json
import stat
import threading
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from app.api import create_app
from app.keys import FileKeyStore, KeyFileBroken, create_first_key, keys_path, new_secret
from app.services import Services
from app.settings import Settings
from tests.app.conftest import client_of

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.fakes.engine import FakeEngine

PICTURE = {"image": b"a picture"}


async def test_the_first_key_opens_the_door(tmp_path: Path) -> None:
    """The key that is shown once is let in, and a look-alike is not."""
    key = create_first_key(tmp_path)
    assert key is not None
    store = FileKeyStore(tmp_path)
    assert await store.check(key) is not None
    for wrong in ("", key[:-1], key + "x", key.upper(), " " + key, "é" * 10, "x" * 100_000):
        assert await store.check(wrong) is None
    for _ in range(300):
        assert await store.check(new_secret()) is None


def test_the_first_key_is_made_once(tmp_path: Path) -> None:
    """A second start makes no second key."""
    assert create_first_key(tmp_path) is not None
    assert create_first_key(tmp_path) is None


def test_two_starts_at_once_make_one_key(tmp_path: Path) -> None:
    """Processes that start together agree on one key."""
    made: list[str | None] = []
    starts = [threading.Thread(target=lambda: made.append(create_first_key(tmp_path))) for _ in range(8)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert sum(key is not None for key in made) == 1


def test_the_file_holds_no_key_and_is_private(tmp_path: Path) -> None:
    """What lies on the disk opens nothing, and only its owner may read it."""
    key = create_first_key(tmp_path)
    path = keys_path(tmp_path)
    assert key is not None
    assert key not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {child.name for child in tmp_path.iterdir()} <= {"keys.json", "keys.json.lock"}


async def test_a_removed_key_stops_working(tmp_path: Path) -> None:
    """A change of the file is seen while the service runs."""
    key = create_first_key(tmp_path)
    assert key is not None
    store = FileKeyStore(tmp_path, check_every_s=0)
    keys_path(tmp_path).write_text(json.dumps({"version": 1, "keys": []}))
    assert await store.check(key) is None


async def test_a_file_that_breaks_keeps_the_last_good_keys(tmp_path: Path) -> None:
    """A half-written file locks nobody out."""
    key = create_first_key(tmp_path)
    assert key is not None
    store = FileKeyStore(tmp_path, check_every_s=0)
    keys_path(tmp_path).write_text('{"keys": [')
    assert await store.check(key) is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keys": [1]}', '{"keys": [{"id": "x"}]}'])
def test_a_broken_file_stops_the_start(tmp_path: Path, text: str) -> None:
    """A file that cannot be understood is an error with its path, not an empty list of keys."""
    keys_path(tmp_path).write_text(text)
    with pytest.raises(KeyFileBroken, match=r"keys\.json"):
        FileKeyStore(tmp_path)
    with pytest.raises(KeyFileBroken):
        create_first_key(tmp_path)


async def test_the_bootstrap_key_may_be_any_text(tmp_path: Path) -> None:
    """A key from the environment is let in beside those of the file."""
    key = create_first_key(tmp_path)
    assert key is not None
    store = FileKeyStore(tmp_path, SecretStr("xyl_your_api_key_here"))
    assert await store.check("xyl_your_api_key_here") is not None
    assert await store.check(key) is not None


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
    settings = Settings(home=tmp_path, api_key_enabled=False)
    async with client_of(create_app(Services(settings, engine, FileKeyStore(tmp_path)))) as client:
        for headers in ({}, {"X-API-Key": "wrong"}):
            answer = await client.post("/api/v1/detect", headers=headers, files=PICTURE)
            assert answer.status_code == 200
