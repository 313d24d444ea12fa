"""Every refusal has its door's envelope and a request id."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import structlog

from app.api import create_app
from app.errors import BUG_TEXT, MalformedBody, NotOffered, Unauthorized, answer_for
from pipelines import errors
from tests.app.conftest import client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from fastapi import FastAPI
    from structlog.typing import EventDict

    from app.services import Services


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/api/v1/nothing", 404),
        ("POST", "/api/v1/detect/", 404),
        ("GET", "/api/v1/detect", 405),
        ("DELETE", "/api/v1/mask", 405),
        ("POST", "/health", 405),
        ("BREW", "/health", 405),
        ("GET", "/api/v1/../../etc/passwd", 404),
        ("GET", "/%00%0d%0aX-Evil:%201", 404),
        ("POST", "/api/v1/detect;x=1", 404),
    ],
)
async def test_door_one_says_detail(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    """Unknown routes and wrong methods are answered in door one's envelope."""
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]
    assert isinstance(answer.json()["detail"], str)
    uuid.UUID(answer.headers["x-request-id"])


@pytest.mark.parametrize("host", ["[", "[::1", "a b", "\xff", "", "x" * 5000])
async def test_any_host_header_will_do(client: httpx.AsyncClient, host: str) -> None:
    """A Host that makes no sense changes nothing in what is answered."""
    headers = [(b"Host", host.encode("latin-1"))]
    assert (await client.get("/nothing", headers=headers)).status_code == 404
    assert (await client.get("/health", headers=headers)).status_code == 200
    assert (await client.get("/docs", headers=headers)).status_code == 200


async def test_door_two_says_error(client: httpx.AsyncClient) -> None:
    """Unknown routes of door two are answered with a code, a message and the request id."""
    answer = await client.get("/v1/nothing")
    assert answer.status_code == 404
    request_id = answer.headers["x-request-id"]
    assert answer.json() == {"error": {"code": "not_found", "message": "Not Found", "request_id": request_id}}


@pytest.mark.parametrize(
    ("error", "one", "two", "code"),
    [
        (errors.InvalidMedia("x"), 400, 400, "invalid_media"),
        (errors.UnsupportedMedia("x"), 415, 400, "invalid_media"),
        (errors.MediaTooLarge("x"), 413, 413, "payload_too_large"),
        (errors.InvalidOption("x"), 422, 400, "invalid_request"),
        (errors.SwitchedOff("x"), 400, 400, "invalid_request"),
        (errors.CallerError("x"), 400, 400, "invalid_request"),
        (errors.Overloaded("x"), 503, 503, "service_unavailable"),
        (errors.DependencyDown("x"), 503, 503, "service_unavailable"),
        (MalformedBody("x"), 400, 400, "invalid_request"),
        (Unauthorized("x"), 401, 401, "unauthorized"),
        (NotOffered("x"), 501, 501, "service_unavailable"),
        (RuntimeError("x"), 500, 500, "internal_error"),
        (errors.FacefleetError("x"), 500, 500, "internal_error"),
    ],
)
def test_the_table(error: Exception, one: int, two: int, code: str) -> None:
    """Each error has its status at each door, and its code at door two."""
    assert answer_for(error, "/api/v1/detect").status == one
    assert (answer_for(error, "/v1/task/1").status, answer_for(error, "/v1/task/1").code) == (two, code)


def test_the_text_of_a_bug_is_constant() -> None:
    """What an unexpected error says never reaches the caller."""
    assert answer_for(ValueError("secret"), "/health").message == BUG_TEXT
    assert answer_for(errors.FacefleetError("secret"), "/health").message == BUG_TEXT


def test_no_domain_error_is_forgotten() -> None:
    """Every error of the domain is the caller's fault or passes; none falls through to a 500."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.FacefleetError
    ]
    assert len(kinds) > 6
    for kind in kinds:
        assert answer_for(kind("x"), "/health").status != 500


@pytest.mark.parametrize("body", ["{", "[1]", '{"size": "x"}'])
async def test_door_two_refuses_json_in_its_envelope(services: Services, body: str) -> None:
    """JSON that is broken or has wrong fields is a 400 invalid_request at door two."""
    app = create_app(services)
    add_route(app)
    async with client_of(app) as client:
        answer = await client.post("/v1/sizes", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"
    assert isinstance(answer.json()["error"]["message"], str)


async def test_limits_hold_where_the_framework_reads_the_body(services: Services) -> None:
    """A JSON body that grows past the limit is a 413 and not the framework's own 400."""
    app = create_app(services)
    add_route(app)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b" " * 65536

    async with client_of(app) as client:
        answer = await client.post(
            "/v1/sizes", content=endless(), headers={"Content-Type": "application/json"}
        )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")


def add_route(app: FastAPI) -> None:
    """Add a route of door two that takes JSON."""

    @app.post("/v1/sizes")
    async def sizes(values: dict[str, int]) -> int:
        return len(values)


async def test_a_harmless_request_id_is_kept(client: httpx.AsyncClient) -> None:
    """An id that the caller brings is used; one that could do harm is replaced."""
    mine = str(uuid.uuid4())
    assert (await client.get("/health", headers={"X-Request-Id": mine})).headers["x-request-id"] == mine
    for bad in ("", "a b", "x" * 129, "é", "../x", "<script>"):
        answer = await client.get("/health", headers=[(b"X-Request-Id", bad.encode())])
        uuid.UUID(answer.headers["x-request-id"])


async def test_an_outer_server_may_set_the_id(services: Services) -> None:
    """Where a server around the app sets the header, the app does not repeat it, but uses its id."""
    async with client_of(create_app(replace(services, is_behind_edge=True))) as client:
        answer = await client.get("/v1/x", headers={"X-Request-Id": "outer-1"})
    assert "x-request-id" not in answer.headers
    assert answer.json()["error"]["request_id"] == "outer-1"


async def test_the_log_line_tells_the_route_and_no_secret(client: httpx.AsyncClient, key: str) -> None:
    """One line a request: method, route, status, time and id; no key, query or file name."""
    with structlog.testing.capture_logs() as lines:
        picture = ("anna.jpg", b"x", "image/jpeg")
        await client.post("/api/v1/detect?confidence=0.6173", files={"image": picture})
        await client.get("/v1/library/anna")
    assert [fields(line) for line in lines] == [
        ("POST", "/api/v1/detect", 200),
        ("GET", None, 404),
    ]
    assert all(line["ms"] >= 0 and line["request_id"] for line in lines)
    for secret in (key, "anna", "0.6173"):
        assert secret not in str(lines)


def fields(line: EventDict) -> tuple[str, str | None, int]:
    """Return what a line says of its request."""
    return (line["method"], line["route"], line["status"])


async def test_cors_is_off_unless_set(services: Services) -> None:
    """Other sites' pages are let in only where the operator says so, and errors are readable to them."""
    origin = {"Origin": "https://a.example"}
    async with client_of(create_app(services)) as client:
        assert "access-control-allow-origin" not in (await client.get("/health", headers=origin)).headers
    opened = services.settings.model_copy(update={"cors_origins": ("https://a.example",)})
    async with client_of(create_app(replace(services, settings=opened))) as client:
        for answer in (
            await client.get("/health", headers=origin),
            await client.post("/api/v1/detect", headers=origin),
            await client.options(
                "/api/v1/detect", headers={**origin, "Access-Control-Request-Method": "POST"}
            ),
        ):
            assert answer.headers["access-control-allow-origin"] == "https://a.example"
            assert answer.headers["x-request-id"]
        other = await client.get("/health", headers={"Origin": "https://b.example"})
        assert "access-control-allow-origin" not in other.headers
