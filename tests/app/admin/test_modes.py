"""Services without storage, without a database, without an administrator's password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr, ValidationError

from app.admin_password import first_admin_password
from app.api import create_app
from app.services import open_services
from app.settings import Settings
from tests.app.admin.conftest import ADMIN, BASIC, PICTURE, embedded, log_in
from tests.app.conftest import client_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.engine import FakeEngine

SOME_ID = "01a1fc72-8cb4-7ba9-88af-5ad7e339b3f2"
STORAGE_ROUTES = [
    ("GET", "stats"),
    ("GET", "images"),
    ("GET", f"images/{SOME_ID}"),
    ("DELETE", f"images/{SOME_ID}"),
    ("GET", f"images/{SOME_ID}/download"),
    ("GET", "jobs"),
    ("GET", f"jobs/{SOME_ID}"),
    ("GET", f"jobs/{SOME_ID}/download"),
]
DATABASE_ROUTES = [
    ("POST", "api-keys"),
    ("GET", "api-keys"),
    ("GET", f"api-keys/{SOME_ID}"),
    ("PATCH", f"api-keys/{SOME_ID}"),
    ("DELETE", f"api-keys/{SOME_ID}"),
    ("POST", f"api-keys/{SOME_ID}/webhook-secret"),
    ("GET", "audit"),
]


async def test_without_storage(engine: FakeEngine, tmp_path: Path, key: str) -> None:
    """Pictures are answered and forgotten; what would show them is not offered, keys are."""
    settings = embedded(tmp_path, key, storage_enabled=False)
    async with open_services(settings, engine) as services, client_of(create_app(services), key) as client:
        answer = (await client.post("/api/v1/detect", files=PICTURE)).json()
        assert (answer["image_id"], answer["job_id"]) == (None, None)
        assert answer["profiling"]["storage_ms"] is None
        assert "x-image-id" not in (await client.post("/api/v1/mask", files=PICTURE)).headers
        health = (await client.get("/health")).json()
        assert (health["database_enabled"], health["storage_enabled"], health["status"]) == (
            True,
            False,
            "ok",
        )
        for method, path in STORAGE_ROUTES:
            refused = await client.request(method, f"{ADMIN}/{path}", auth=BASIC)
            assert refused.status_code == 501
            assert "FACE_API_STORAGE_ENABLED" in refused.json()["detail"]
        assert (await client.get(f"{ADMIN}/api-keys", auth=BASIC)).status_code == 200
        assert (await log_in(client)).status_code == 204
        assert (await client.get("/files/originals/x?expires=1&signature=x")).status_code == 404


async def test_without_a_database(engine: FakeEngine, tmp_path: Path, key: str) -> None:
    """One key, nothing kept, no sessions; Basic and the preview work."""
    settings = embedded(tmp_path, key, database_enabled=False)
    async with open_services(settings, engine) as services, client_of(create_app(services), key) as client:
        assert (await client.post("/api/v1/detect", files=PICTURE)).json()["image_id"] is None
        health = (await client.get("/health")).json()
        assert (health["database_enabled"], health["storage_enabled"], health["status"]) == (
            False,
            False,
            "ok",
        )
        for method, path in [*STORAGE_ROUTES, *DATABASE_ROUTES]:
            body = {"name": "x"} if method in {"POST", "PATCH"} else None
            refused = await client.request(method, f"{ADMIN}/{path}", auth=BASIC, json=body)
            assert refused.status_code == 501, (method, path)
        assert (await log_in(client)).status_code == 501
        assert (await client.post(f"{ADMIN}/auth/logout")).status_code == 204
        assert (await client.get(f"{ADMIN}/auth/session", auth=BASIC)).json()["authenticated"] is True
        assert (await client.get(f"{ADMIN}/auth/session", auth=("admin", "x"))).status_code == 401
        assert (await client.post(f"{ADMIN}/test/mask", auth=BASIC, files=PICTURE)).status_code == 200
    assert not (tmp_path / "facefleet.db").exists()


async def test_the_password_of_the_first_start(engine: FakeEngine, tmp_path: Path, key: str) -> None:
    """Where the operator sets none, the one that the first start made lets in; before it, nobody."""
    settings = embedded(tmp_path, key, admin_password=None, admin_username="boss")
    async with open_services(settings, engine) as services, client_of(create_app(services)) as client:
        for password in ("", "None", "boss"):
            assert (await client.get(f"{ADMIN}/auth/session", auth=("boss", password))).status_code == 401
    made = first_admin_password(tmp_path)
    assert made is not None
    async with open_services(settings, engine) as services, client_of(create_app(services)) as client:
        assert (await client.get(f"{ADMIN}/auth/session", auth=("boss", made))).status_code == 200


def test_modes_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """Storage needs the database, and without a database there must be a key; the text says which."""
    with pytest.raises(ValidationError, match="database_enabled"):
        Settings(home=tmp_path, database_enabled=False, storage_enabled=True, bootstrap_key=SecretStr("x"))
    with pytest.raises(ValidationError, match="bootstrap_key"):
        Settings(home=tmp_path, database_enabled=False)
    assert not Settings(home=tmp_path, database_enabled=False, api_key_enabled=False).keeps_pictures
