"""Whoever tries what no client of ours would: texts that databases choke on, cookies that are bent, floods.

All of it on SQLite with a folder and on PostgreSQL with S3; nothing of it may be a 5xx.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING

import pytest

from app.admin.access import COOKIE
from app.api import create_app
from app.services import Services
from tests.app.admin.conftest import ADMIN, BASIC, PASSWORD, PICTURE, log_in
from tests.app.conftest import client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

#: As JSON writes them; PostgreSQL keeps none of the first two in a text.
BAD_TEXTS = [
    r"\u0000",
    r"admin\u0000",
    r"\ud800",
    r"\udfff\ud800",
    r"\u202e\u2066nimda",
    r"'; DROP TABLE api_keys; --",
    r"$(id) `id` {{7*7}} ${jndi:x}",
    r"<script>alert(1)</script>",
    r"\uff41dmin",
    "a\u0308" * 100,
]
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def guesser(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client whose wrong passwords are not counted."""
    settings = services.settings.model_copy(update={"admin_login_rate_limit": "off"})
    uncounted = Services(
        settings, services.engine, services.keys, services.limiter, services.admin, services.memory
    )
    async with client_of(create_app(uncounted)) as made:
        yield made


async def test_bad_texts_in_a_login(guesser: httpx.AsyncClient) -> None:
    """A name that no database could keep is still only a wrong name."""
    for text in BAD_TEXTS:
        for body in (
            f'{{"username": "{text}", "password": "x"}}',
            f'{{"username": "admin", "password": "{text}"}}',
        ):
            answer = await guesser.post(f"{ADMIN}/auth/login", content=body.encode(), headers=JSON)
            assert answer.status_code in {401, 422}, answer.text
            assert list(answer.json()) == ["detail"]


async def test_bad_texts_as_names_of_keys(admin: httpx.AsyncClient) -> None:
    """A name is kept as it is, or refused; it is never run and never breaks the list."""
    for text in BAD_TEXTS:
        body = f'{{"name": "{text}"}}'.encode()
        made = await admin.post(f"{ADMIN}/api-keys", content=body, headers=JSON)
        assert made.status_code in {201, 422}, made.text
        if made.status_code == 201:
            path = f"{ADMIN}/api-keys/{made.json()['id']}"
            assert (await admin.get(path)).json()["name"] == json.loads(body)["name"].strip()
            assert (await admin.patch(path, content=body, headers=JSON)).status_code == 200
        assert (await admin.get(f"{ADMIN}/api-keys")).status_code == 200
        assert (await admin.get(f"{ADMIN}/audit")).status_code == 200


async def test_bad_names_in_basic(guesser: httpx.AsyncClient) -> None:
    """Only the administrator's very name is his."""
    for name in ["admin\x00", "\x00", "admin\x1f", "ä" * 5000, "", "admin ", "ADMIN", "\u0430dmin"]:
        pair = base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()
        answer = await guesser.get(f"{ADMIN}/stats", headers={"Authorization": f"Basic {pair}"})
        assert answer.status_code == 401, answer.text


async def test_bad_headers_do_not_reach_the_database(admin: httpx.AsyncClient, key: str) -> None:
    """What a request says of itself is kept only where it is harmless."""
    for request_id in (b"a\x00b", b"' OR 1=1 --", b"\xff\xfe", b"x" * 5000, b"../../etc/passwd"):
        headers = {b"X-Request-Id": request_id, b"X-API-Key": key.encode(), b"X-Forwarded-For": b"\xff, \x00"}
        answer = await admin.post("/api/v1/detect", headers=headers, files=PICTURE)
        assert answer.status_code == 200
        job = (await admin.get(f"{ADMIN}/jobs/{answer.json()['job_id']}")).json()
        assert job["request_id"] == answer.headers["x-request-id"] != request_id.decode("latin-1")
    for api_key in (b"\x00", b"\xff" * 40, b"' OR '1'='1", b"a" * 100_000):
        answer = await admin.post("/api/v1/detect", headers={b"X-API-Key": api_key}, files=PICTURE)
        assert answer.status_code == 401


async def test_bent_cookies_open_nothing(browser: httpx.AsyncClient) -> None:
    """A cookie with anything around, before or inside it is another one; two of a name are not two tries."""
    token = browser.cookies[COOKIE]
    session = f"{ADMIN}/auth/session"
    for bent in (
        f"{COOKIE}={token}\x00",
        f"{COOKIE}= {token[:-1]}%00",
        f"{COOKIE}=' OR 1=1 --",
        f"{COOKIE}=../../{token}",
        f"{COOKIE.upper()}={token}",
        f"x{COOKIE}={token}",
        f"{COOKIE}={token}; {COOKIE}=nonsense",
        f"{COOKIE}={'a' * 100_000}",
        "=;;;=",
    ):
        answer = await browser.get(session, headers={"Cookie": bent})
        assert answer.status_code == 401, bent
    assert (await browser.get(session)).status_code == 200


async def test_a_cookie_is_worth_nothing_as_anything_else(
    browser: httpx.AsyncClient, stranger: httpx.AsyncClient, key: str
) -> None:
    """A session opens the admin API alone, a client's key the pictures alone."""
    token = browser.cookies[COOKIE]
    assert (await browser.post("/api/v1/detect", files=PICTURE)).status_code == 401
    for headers in ({"X-API-Key": token}, {"Authorization": f"Bearer {token}"}):
        assert (await stranger.post("/api/v1/detect", headers=headers, files=PICTURE)).status_code == 401
        assert (await stranger.get(f"{ADMIN}/stats", headers=headers)).status_code == 401
    assert (await stranger.get(f"{ADMIN}/stats", headers={"X-API-Key": key})).status_code == 401


async def test_logins_at_once_are_counted_at_once(services: Services) -> None:
    """Forty guesses that come together are no more than ten: the rest is not even looked at."""
    async with client_of(create_app(services)) as client:
        answers = await asyncio.gather(*(log_in(client, f"guess {number}") for number in range(40)))
        statuses = [answer.status_code for answer in answers]
        assert (statuses.count(401), statuses.count(429)) == (10, 30)
        noted = (await client.get(f"{ADMIN}/audit", auth=BASIC)).status_code
        assert noted == 429  # the right password does not help whoever guessed too often


async def test_methods_that_a_route_does_not_have(admin: httpx.AsyncClient) -> None:
    """A method that is not offered changes nothing, whatever a header says it means."""
    made = (await admin.post(f"{ADMIN}/api-keys", json={"name": "x"})).json()
    path = f"{ADMIN}/api-keys/{made['id']}"
    for method, headers in (
        ("PUT", {}),
        ("POST", {"X-HTTP-Method-Override": "DELETE"}),
        ("TRACE", {}),
        ("DELETED", {}),
    ):
        answer = await admin.request(method, path, headers=headers)
        assert answer.status_code == 405
        assert list(answer.json()) == ["detail"]
    answer = await admin.get(path, headers={"X-HTTP-Method-Override": "DELETE"})
    assert answer.json()["id"] == made["id"]


async def test_paths_around_the_guard(stranger: httpx.AsyncClient) -> None:
    """However a path is written, nobody gets past the question who asks."""
    for path in (
        "/api/v1/admin/stats/",
        "/api/v1//admin/stats",
        "/api/v1/admin/./stats",
        "/api/v1/x/../admin/stats",
        "/api/v1/%61dmin/stats",
        "/API/V1/ADMIN/STATS",
        "/api/v1/admin%2fstats",
        "/api/v1/admin;x=1/stats",
        "/files/..%2f..%2fapi/v1/admin/stats",
    ):
        answer = await stranger.get(path)
        assert answer.status_code in {307, 401, 403, 404}, path
        if answer.status_code == 307:
            assert (await stranger.get(answer.headers["location"])).status_code == 401


async def test_bodies_that_are_no_requests(admin: httpx.AsyncClient) -> None:
    """JSON that is too deep, too large or no JSON is the caller's fault."""
    for body in (
        b"[" * 100_000,
        b'{"name": ' + b"9" * 5000 + b"}",
        b"\xff\xfe",
        b'{"name": NaN}',
        b"null",
        b"0",
    ):
        answer = await admin.post(f"{ADMIN}/api-keys", content=body, headers=JSON)
        assert answer.status_code in {400, 422}, body[:20]
        assert list(answer.json()) == ["detail"]
    assert (await admin.get(f"{ADMIN}/api-keys")).json()["total"] == 1
