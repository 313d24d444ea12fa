"""Who gets to see pages, where logins lead, and what errors look like there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api import create_app
from app.console.assets import FOLDER, assets_path
from app.console.gate import HOME, own_path
from app.console.rendering import TEMPLATES, content_policy
from app.console.routes import picture_origins
from app.services import Services, open_services
from tests.app.admin.conftest import PASSWORD, embedded
from tests.app.conftest import client_of
from tests.fakes.engine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from app.settings import Settings

PAGES = ("/", "/try", "/images", "/jobs", "/tasks", "/keys", "/system", "/audit")
LOGIN = {"username": "admin", "password": PASSWORD}


@pytest.fixture
def settings(tmp_path: Path, key: str) -> Settings:
    """Return settings of a service in a folder."""
    return embedded(tmp_path, key)


@pytest.fixture
async def browser(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that has logged in by the form."""
    async with client_of(create_app(services)) as made:
        answer = await made.post("/login", data=LOGIN)
        assert answer.status_code == 303
        yield made


async def test_pages_lead_strangers_to_the_login(services: Services, key: str) -> None:
    """Without a session, with a client's key or with the password itself, a page shows nothing."""
    for path in [*PAGES, "/keys/x", "/images/x", "/jobs/x", "/tasks/x", "/libraries", "/libraries/x"]:
        async with client_of(create_app(services), key) as stranger:
            for more in ({}, {"Cookie": "facefleet_admin=forged"}):
                answer = await stranger.get(path, headers=more)
                assert answer.status_code == 303
                assert answer.headers["location"].startswith("/login")
                assert answer.text == ""


@pytest.mark.parametrize("path", PAGES)
async def test_pages_of_an_empty_service(browser: httpx.AsyncClient, path: str) -> None:
    """Each page shows before anything ever happened, with its policy and nothing to keep."""
    answer = await browser.get(path)
    assert answer.status_code == 200, answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/keys/x", "/images/x", "/jobs/x", "/tasks/x", "/images/" + "0" * 32])
async def test_what_is_not_there_is_a_page(browser: httpx.AsyncClient, path: str) -> None:
    """An unknown id is told in words, within the frame of the other pages."""
    answer = await browser.get(path)
    assert answer.status_code == 404
    assert "There is no" in answer.text
    assert "</nav>" in answer.text


async def test_senseless_addresses_are_pages(browser: httpx.AsyncClient) -> None:
    """A page number that is none, or a filter that nobody knows, is refused as a page."""
    for path in ("/images?page=0", "/jobs?page=x", "/jobs?method=<script>", "/?window=year"):
        answer = await browser.get(path)
        assert answer.status_code == 422
        assert "<script>" not in answer.text.replace('<script src="', "").replace('<script type="', "")


async def test_a_bug_is_a_page_without_its_text(
    services: Services, browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever breaks, the page names the request and keeps the rest for the log."""
    assert services.memory is not None

    async def broken(*_: object) -> None:
        message = "the secret inside"
        raise RuntimeError(message)

    monkeypatch.setattr(type(services.memory.keys), "list", broken)
    answer = await browser.get("/keys")
    assert answer.status_code == 500
    assert "secret inside" not in answer.text
    assert answer.headers["x-request-id"] in answer.text


async def test_parts_that_are_switched_off(tmp_path: Path, key: str) -> None:
    """Without storage the pages of records say so; without a database the login does."""
    no_storage = embedded(tmp_path / "a", key, storage_enabled=False)
    async with open_services(no_storage, FakeEngine()) as services, client_of(create_app(services)) as client:
        await client.post("/login", data=LOGIN)
        answer = await client.get("/images")
        assert answer.status_code == 501
        assert "FACE_API_STORAGE_ENABLED" in answer.text
        assert (await client.get("/")).status_code == 200
    no_database = embedded(tmp_path / "b", key, database_enabled=False)
    async with (
        open_services(no_database, FakeEngine()) as services,
        client_of(create_app(services)) as client,
    ):
        answer = await client.post("/login", data=LOGIN)
        assert answer.status_code == 501
        assert "FACE_API_DATABASE_ENABLED" in answer.text


async def test_a_form_of_another_site_does_nothing(services: Services) -> None:
    """Neither a login nor a logout can be sent by a foreign page."""
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    async with client_of(create_app(services)) as client:
        answer = await client.post("/login", data=LOGIN, headers=foreign)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        await client.post("/login", data=LOGIN)
        assert (await client.post("/logout", headers=foreign)).status_code == 403
        assert (await client.get("/keys")).status_code == 200


@given(st.text(max_size=40))
def test_logins_lead_to_paths_of_this_server(wanted: str) -> None:
    """Whatever stands in the link, the way leads to a path here."""
    for text in (wanted, "/" + wanted, "//" + wanted, "/\\" + wanted, "https://" + wanted):
        found = own_path(text)
        assert found.startswith("/")
        assert not found.replace("\\", "/").startswith("//")
        assert found in {text, HOME}


def test_templates_hold_no_code() -> None:
    """No template has a script, a style, a handler, or text that goes unescaped."""
    for file in TEMPLATES.glob("*.html"):
        text = file.read_text("utf-8")
        for word in (
            "style=",
            " on" + "click",
            " on" + "load",
            "javascript:",
            "| safe",
            "|safe",
            "autoescape false",
        ):
            assert word not in text, (file.name, word)
        assert "<script>" not in text


def test_scripts_never_turn_text_into_markup() -> None:
    """No script uses what would; the browser would refuse it as well."""
    for file in FOLDER.rglob("*.js"):
        text = file.read_text("utf-8")
        for word in (
            "innerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "DOMParser",
        ):
            assert word not in text, (file.name, word)
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")


async def test_files_lie_at_an_address_that_changes_with_them(services: Services) -> None:
    """Scripts and styles may be kept for good, are served with their types, and nothing beside them is."""
    async with client_of(create_app(services)) as client:
        answer = await client.get(f"{assets_path()}/console.css")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"].startswith("text/css")
        script = await client.get(f"{assets_path()}/console.js")
        assert script.headers["content-type"].startswith("text/javascript")
        assert (await client.get(f"{assets_path()}/../rendering.py")).status_code == 404


def test_pictures_may_come_from_the_bucket(tmp_path: Path, key: str) -> None:
    """The policy names the object storage where there is one, and no other place."""
    here = embedded(tmp_path, key)
    assert picture_origins(here) == ()
    away = embedded(
        tmp_path,
        key,
        s3_bucket="b",
        s3_endpoint="http://minio:9000/x",
        s3_public_endpoint="https://cdn.example",
    )
    assert picture_origins(away) == ("http://minio:9000", "https://cdn.example")
    assert "img-src 'self' blob: https://cdn.example" in content_policy(["https://cdn.example"])
