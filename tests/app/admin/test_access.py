"""Who is let into the admin API, and who is not."""

from __future__ import annotations

import base64
from datetime import timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING

import httpx
from fastapi.routing import APIRoute

from app.admin.access import ADMIN_PATH, COOKIE
from app.api import create_app
from app.records.values import Actor
from app.services import Services, open_services
from tests.app.admin.conftest import ADMIN, BASIC, PASSWORD, PICTURE, embedded, log_in
from tests.app.conftest import client_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from app.settings import Settings
    from tests.fakes.engine import FakeEngine

SESSION = f"{ADMIN}/auth/session"
KEYS = f"{ADMIN}/api-keys"
OPEN_TO_ALL = {"/api/v1/admin/auth/login", "/api/v1/admin/auth/logout"}


def guarded_routes(services: Services) -> Iterator[tuple[str, str]]:
    """List the routes that are for administrators, from the documentation of the app itself."""
    for path, methods in create_app(services).openapi()["paths"].items():
        if path.startswith(ADMIN_PATH) and path not in OPEN_TO_ALL:
            for method in methods:
                yield method.upper(), path.replace("{", "").replace("}", "")


async def test_every_route_refuses_everybody_else(
    services: Services, stranger: httpx.AsyncClient, key: str, tmp_path: Path
) -> None:
    """No credentials, wrong ones, a client's key, a cookie of elsewhere: each is a plain 401."""
    other = embedded(tmp_path / "other", key)
    async with open_services(other, services.engine) as elsewhere:
        assert elsewhere.memory is not None
        foreign = await elsewhere.memory.sessions.create(Actor("admin"), timedelta(hours=1))
    # Wrong passwords are counted; here it is about the refusal of each.
    unlimited = services.settings.model_copy(update={"admin_login_rate_limit": "off"})
    attempts: list[dict[str, str]] = [
        {},
        {"X-API-Key": key},
        {"Authorization": f"Bearer {key}"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"admin").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode()},
        {"Authorization": "Basic " + base64.b64encode(f"admin:{key}".encode()).decode()},
        {"Authorization": "Basic " + base64.b64encode(f"root:{PASSWORD}".encode()).decode()},
        {"Cookie": f"{COOKIE}={foreign}"},
        {"Cookie": f"{COOKIE}="},
        {"Cookie": f"session={foreign}; {COOKIE}={key}"},
    ]
    routes = list(guarded_routes(services))
    assert len(routes) >= 16
    async with client_of(create_app(_with(services, unlimited))) as client:
        for method, path in routes:
            for number, headers in enumerate(attempts):
                # Half of them would be refused for their body as well: who asks is looked at first.
                answer = await client.request(
                    method, path, headers=headers, content=b"{" if number % 2 else None
                )
                assert answer.status_code == 401, (method, path, headers)
                assert list(answer.json()) == ["detail"]
                assert answer.headers["www-authenticate"].startswith("Basic ")
    assert stranger.cookies == httpx.Cookies()


def test_the_matrix_knows_every_route(services: Services) -> None:
    """No admin route hides from the documentation, which the matrix is made from."""
    shown = {path for _, path in guarded_routes(services)} | OPEN_TO_ALL
    found = {
        route.path.replace("{", "").replace("}", "")
        for route in _all_routes(create_app(services).routes)
        if route.path.startswith(ADMIN_PATH)
    }
    assert found <= shown
    assert found


def _all_routes(routes: Sequence[object]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        else:
            yield from _all_routes(list(getattr(getattr(route, "original_router", None), "routes", ())))


def _with(services: Services, settings: Settings) -> Services:
    return Services(
        settings, services.engine, services.keys, services.limiter, services.admin, services.memory
    )


async def test_a_login_is_a_session(stranger: httpx.AsyncClient) -> None:
    """Login sets a cookie that no script reads and no other site sends; logout kills it everywhere."""
    answer = await log_in(stranger)
    assert (answer.status_code, answer.content) == (204, b"")
    attributes = answer.headers["set-cookie"].lower().split("; ")[1:]
    assert set(attributes) == {"httponly", "max-age=43200", "path=/", "samesite=lax"}
    assert (await stranger.get(SESSION)).json() == {"authenticated": True, "username": "admin"}
    stolen = stranger.cookies[COOKIE]
    answer = await stranger.post(f"{ADMIN}/auth/logout")
    assert (answer.status_code, answer.content) == (204, b"")
    assert COOKIE not in stranger.cookies
    for _ in range(2):
        assert (await stranger.get(SESSION, headers={"Cookie": f"{COOKIE}={stolen}"})).status_code == 401


async def test_logout_needs_no_login(stranger: httpx.AsyncClient) -> None:
    """Whoever is not logged in is logged out just as well."""
    for headers in ({}, {"Cookie": f"{COOKIE}=nonsense"}, {"Cookie": f"{COOKIE}={'x' * 5000}"}):
        assert (await stranger.post(f"{ADMIN}/auth/logout", headers=headers)).status_code == 204


async def test_basic_needs_no_session(stranger: httpx.AsyncClient) -> None:
    """Name and password with each request do, and set no cookie."""
    answer = await stranger.get(SESSION, auth=BASIC)
    assert answer.json() == {"authenticated": True, "username": "admin"}
    assert "set-cookie" not in answer.headers


async def test_a_cookie_that_was_changed_is_none(browser: httpx.AsyncClient) -> None:
    """Each bit of the cookie counts."""
    token = browser.cookies[COOKIE]
    for forged in (
        token[:-1],
        token + "a",
        token.swapcase(),
        token[1:] + token[0],
        "a" * len(token),
        f'"{token}x"',
    ):
        answer = await browser.get(SESSION, headers={"Cookie": f"{COOKIE}={forged}"})
        assert answer.status_code == 401


async def test_a_session_ends_by_itself(services: Services, stranger: httpx.AsyncClient) -> None:
    """A cookie that is kept longer than it is valid opens nothing."""
    assert services.memory is not None
    token = await services.memory.sessions.create(Actor("admin"), timedelta(seconds=-1))
    assert (await stranger.get(SESSION, headers={"Cookie": f"{COOKIE}={token}"})).status_code == 401


async def test_a_session_of_a_former_administrator_is_over(
    services: Services, stranger: httpx.AsyncClient
) -> None:
    """Where the administrator has another name now, cookies of the old one open nothing."""
    assert services.memory is not None
    token = await services.memory.sessions.create(Actor("predecessor"), timedelta(hours=1))
    assert (await stranger.get(SESSION, headers={"Cookie": f"{COOKIE}={token}"})).status_code == 401


async def test_another_password_ends_all_sessions(engine: FakeEngine, tmp_path: Path, key: str) -> None:
    """A cookie outlives a restart with the same password, and is worth nothing after one with another."""
    cookies = httpx.Cookies()
    for password, expected in (
        (PASSWORD, 200),
        (PASSWORD, 200),
        ("another " + PASSWORD, 401),
        (PASSWORD, 200),
    ):
        settings = embedded(tmp_path, key, admin_password=password)
        async with open_services(settings, engine) as services, client_of(create_app(services)) as client:
            if not cookies:
                assert (await log_in(client)).status_code == 204
                cookies = client.cookies
            answer = await client.get(SESSION, headers={"Cookie": f"{COOKIE}={cookies[COOKIE]}"})
            assert answer.status_code == expected, password


async def test_the_lifetime_of_a_session_is_a_setting(engine: FakeEngine, tmp_path: Path, key: str) -> None:
    """Cookie and session live equally long."""
    settings = embedded(tmp_path, key, admin_session_ttl_s=60)
    async with open_services(settings, engine) as services, client_of(create_app(services)) as client:
        assert "max-age=60;" in (await log_in(client)).headers["set-cookie"].lower()


async def test_other_sites_change_nothing(browser: httpx.AsyncClient, services: Services) -> None:
    """A page of another site cannot use a browser's cookie or remembered password; reading is no change."""
    for headers in [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://facefleet.test.evil.example"},
        {"Origin": "http://facefleet.test:8080"},
        {"Origin": "facefleet.test"},
        {"Origin": "http://[bad"},
        {"Referer": "https://evil.example/http://facefleet.test/"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://facefleet.test"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "none"},
    ]:
        for auth in (None, BASIC):
            for method, path, body in (
                ("POST", KEYS, {"name": "evil"}),
                ("POST", f"{ADMIN}/auth/logout", None),
            ):
                if auth is not None and path.endswith("logout"):
                    continue
                answer = await browser.request(method, path, json=body, headers=headers, auth=auth)
                assert answer.status_code == 403
                assert answer.json() == {"detail": "This request comes from a page of another site."}
        assert (await log_in_from(browser, headers)).status_code == 403
        assert (await browser.get(SESSION, headers=headers)).status_code == 200
        assert services.memory is not None
        assert (await services.memory.keys.list(1, 1)).total == 1


async def log_in_from(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    """Log in as a page with these headers would make a browser do."""
    return await client.post(
        f"{ADMIN}/auth/login", json={"username": "admin", "password": PASSWORD}, headers=headers
    )


async def test_our_own_pages_and_plain_clients_may(browser: httpx.AsyncClient) -> None:
    """Pages of this service, and clients that are no browsers, change what they like."""
    for headers in [
        {},
        {"Origin": "http://facefleet.test"},
        {"Origin": "http://FACEFLEET.test", "Sec-Fetch-Site": "same-origin"},
        {"Referer": "http://facefleet.test/console?page=2"},
    ]:
        assert (await browser.post(KEYS, json={"name": "mine"}, headers=headers)).status_code == 201


async def test_behind_a_proxy_the_public_address_is_ours(
    engine: FakeEngine, tmp_path: Path, key: str
) -> None:
    """With its public address set, the service knows its pages, its cookies are for https."""
    settings = embedded(tmp_path, key, public_url="https://faces.example")
    async with open_services(settings, engine) as services, client_of(create_app(services), key) as client:
        answer = await log_in(client)
        assert "secure" in answer.headers["set-cookie"].lower()
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        for origin, status in (("https://faces.example", 201), ("https://evil.example", 403)):
            made = await client.post(KEYS, json={"name": "x"}, headers={**cookie, "Origin": origin})
            assert made.status_code == status
        await client.post("/api/v1/detect", files=PICTURE)
        (image,) = (await client.get(f"{ADMIN}/images", headers=cookie)).json()["items"]
        assert image["original_url"].startswith("https://faces.example/files/")


async def test_cookies_over_https_stay_there(services: Services) -> None:
    """Where the browser came over https, or a proxy says so, the cookie never travels without it."""
    app = create_app(services)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="https://facefleet.test"
    ) as client:
        assert "secure" in (await log_in(client)).headers["set-cookie"].lower()
    async with client_of(app) as client:
        client.headers["X-Forwarded-Proto"] = "https"
        assert "secure" in (await log_in(client)).headers["set-cookie"].lower()


async def test_guessing_is_slowed_by_address_and_by_name(
    services: Services, engine: FakeEngine, settings: Settings
) -> None:
    """Ten attempts a minute from one address, whatever names it tries; ten for one name, from wherever."""
    trusting = settings.model_copy(update={"trusted_proxies": networks("127.0.0.0/8")})
    app = create_app(_with(services, trusting))

    async def guess(name: str, address: str) -> httpx.Response:
        async with client_of(app) as client:
            return await client.post(
                f"{ADMIN}/auth/login",
                json={"username": name, "password": "guess"},
                headers={"X-Forwarded-For": address},
            )

    for number in range(10):
        answer = await guess(f"name {number}", "192.0.2.1")
        assert answer.status_code == 401
        assert answer.headers["x-ratelimit-limit"] == "10"
        assert answer.headers["x-ratelimit-remaining"] == str(9 - number)
    answer = await guess("another", "192.0.2.1")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert list(answer.json()) == ["detail"]
    for number in range(10):
        assert (await guess("admin", f"198.51.100.{number}")).status_code == 401
    assert (await guess("admin", "203.0.113.9")).status_code == 429
    assert engine.seen == []


def networks(text: str) -> tuple[object, ...]:
    """Return networks as the settings have them."""
    return (ip_network(text),)


async def test_basic_is_no_way_around_the_limit(stranger: httpx.AsyncClient) -> None:
    """Wrong passwords in Basic are counted with the logins; right ones cost one attempt a minute."""
    for _ in range(5):
        assert (await stranger.get(SESSION, auth=BASIC)).status_code == 200
    for number in range(9):
        assert (await stranger.get(SESSION, auth=("admin", f"guess {number}"))).status_code == 401
    assert (await stranger.get(SESSION, auth=("admin", "guess"))).status_code == 429
    assert (await log_in(stranger)).status_code == 429
    assert (await stranger.get(SESSION, auth=BASIC)).status_code == 200


async def test_refused_logins_are_noted(stranger: httpx.AsyncClient) -> None:
    """The audit log tells that somebody tried, and what he tried is not in it."""
    assert (await log_in(stranger, "hunter2")).status_code == 401
    answer = await stranger.get(f"{ADMIN}/audit", auth=BASIC)
    (entry,) = answer.json()["items"]
    assert (entry["who"], entry["action"]) == ("admin", "session.refused")
    assert "hunter2" not in answer.text


async def test_senseless_logins_are_refused(stranger: httpx.AsyncClient) -> None:
    """A login without a name and a password is a 422; a form is none at all."""
    for body in ["{}", '{"username": "admin"}', '{"username": 1, "password": 2}', "[]", ""]:
        login = f"{ADMIN}/auth/login"
        answer = await stranger.post(login, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
        whole = b'{"username": "admin", "password": "%s"}' % PASSWORD.encode()
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            assert (
                await stranger.post(login, content=whole, headers={"Content-Type": kind})
            ).status_code == 422


async def test_scripts_of_a_page_get_no_window(stranger: httpx.AsyncClient) -> None:
    """A refusal to a script names no scheme: the browser would ask for a password by itself."""
    answer = await stranger.get(SESSION, headers={"Sec-Fetch-Dest": "empty"})
    assert answer.status_code == 401
    assert "www-authenticate" not in answer.headers
