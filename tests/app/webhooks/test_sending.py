"""One attempt at a delivery, against receivers that behave and that do not."""

from __future__ import annotations

import ssl
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import trustme

from app.net.allowing import AllowList
from app.net.guard import Guard
from app.net.pinned import Outbound
from app.webhooks.sending import Attempt, Delivery, Outcome, WebhookSender
from app.webhooks.signing import verify
from tests.fakes.hostile_server import (
    OPENED,
    HostileServer,
    Names,
    Script,
    answer,
    head,
    hostile_server,
    redirect,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of a published example
BODY = b'{"event": "task.succeeded"}'
NOW = 1_745_229_600


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    """Run a receiver that the operator has opened."""
    async with hostile_server() as running:
        yield running


def sender(
    timeout_s: float = 5, names: Names | None = None, tls: ssl.SSLContext | None = None
) -> WebhookSender:
    """Return a sender that may reach the test's receivers."""
    guard = Guard(AllowList.read([OPENED]), names or Names(hooks_example=[[OPENED]]))
    return WebhookSender(Outbound(guard, tls or ssl.create_default_context()), lambda: NOW, timeout_s)


def delivery(url: str, attempt_no: int = 1) -> Delivery:
    """Return something to deliver."""
    return Delivery("msg_1", url, "task.succeeded", BODY, (SECRET,), attempt_no)


async def try_on(server: HostileServer, script: Script, timeout_s: float = 5) -> Attempt:
    """Deliver to a receiver that does this."""
    server.on("/cb", script)
    return await sender(timeout_s).send_once(delivery(f"http://hooks.example:{server.port}/cb?id=1"))


async def test_a_delivery_arrives_signed(server: HostileServer) -> None:
    """The receiver gets the very bytes, with headers that a client believes."""
    attempt = await try_on(server, whole(b"thanks"))
    assert (attempt.outcome, attempt.status, attempt.error) == (Outcome.DELIVERED, 200, None)
    assert 0 < attempt.took_ms < 5000
    request = server.requests[0]
    assert (request.target, request.body) == ("/cb?id=1", BODY)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "msg_1"
    verify(request.headers, request.body, [SECRET], now=NOW)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (202, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (301, Outcome.FAILED),
        (304, Outcome.FAILED),
        (400, Outcome.FAILED),
        (404, Outcome.FAILED),
        (410, Outcome.GONE),
        (500, Outcome.FAILED),
        (503, Outcome.FAILED),
    ],
)
async def test_statuses_decide(server: HostileServer, status: int, outcome: Outcome) -> None:
    """Any 2xx is success, 410 is the end, everything else is tried again."""
    attempt = await try_on(server, answer(head(status)))
    assert (attempt.outcome, attempt.status) == (outcome, status)
    assert (attempt.error is None) == (outcome is Outcome.DELIVERED)


async def test_redirects_are_not_followed(server: HostileServer) -> None:
    """A receiver cannot send a delivery elsewhere, least of all inward."""
    async with hostile_server("127.0.0.1") as inside:
        attempt = await try_on(server, redirect(f"http://127.0.0.1:{inside.port}/", 307))
        assert (attempt.outcome, attempt.status, inside.connections) == (Outcome.FAILED, 307, 0)


async def test_retry_after_is_heard(server: HostileServer) -> None:
    """How long a receiver wants to be left alone is passed on."""
    attempt = await try_on(server, answer(head(503, Retry_After="120", Content_Length=0)))
    assert attempt.retry_after == timedelta(seconds=120)


@pytest.mark.parametrize(
    "script",
    [
        answer(hang=True),
        answer(b"H", b"T", b"T", pause_s=0.1, hang=True),
        answer(b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n", pause_s=0.01, forever=True),
        answer(b"HTTP/1.1 100 Continue\r\n\r\n", pause_s=0.01, forever=True),
        answer(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536, forever=True),
        answer(b"nonsense\r\n\r\n"),
        answer(),
    ],
    ids=["hangs", "drips", "drips headers", "interim answers", "endless header", "nonsense", "closes"],
)
async def test_bad_receivers_fail_in_time(server: HostileServer, script: Script) -> None:
    """Whatever a receiver does before its answer is complete, the attempt fails, and in its time."""
    began = time.monotonic()
    attempt = await try_on(server, script, timeout_s=0.4)
    assert (attempt.outcome, attempt.status) == (Outcome.FAILED, None)
    assert attempt.error
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "script",
    [
        answer(head(200), b"x" * 65536, forever=True),
        answer(head(200, Content_Length=1000), b"x", pause_s=0.05, forever=True),
        answer(head(200, Content_Length=1000), hang=True),
        answer(head(200, Content_Length=1000) + b"cut"),
        answer(head(200, Transfer_Encoding="chunked") + b"nonsense"),
    ],
    ids=["endless", "drips", "hangs", "cut", "broken"],
)
async def test_an_answer_is_an_answer(server: HostileServer, script: Script) -> None:
    """Once the status is here, no trick with the body makes it a failure or holds us up."""
    began = time.monotonic()
    attempt = await try_on(server, script, timeout_s=0.7)
    assert (attempt.outcome, attempt.status) == (Outcome.DELIVERED, 200)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://hooks.example.com/cb", "https"),
        ("https://127.0.0.1/cb", "public"),
        ("https://inside.example/cb", "public"),
        ("https://unknown.example/cb", "public"),
        ("https://[::ffff:127.0.0.1]/cb", "public"),
        ("https://2130706433/cb", "decimal"),
        ("https://user:pass@hooks.example/cb", "password"),
        ("https://hooks.example.com:25/cb", "port"),
        ("ftp://hooks.example.com/cb", "http"),
    ],
)
async def test_forbidden_receivers_are_not_called(url: str, error: str) -> None:
    """The guard's refusal is a failed attempt with its reason, and no exception."""
    names = Names(hooks_example_com=[["8.8.8.8"]], inside_example=[["10.0.0.1"]])
    attempt = await sender(names=names).send_once(delivery(url))
    assert (attempt.outcome, attempt.status) == (Outcome.FAILED, None)
    assert error in str(attempt.error)


async def test_receivers_prove_who_they_are() -> None:
    """Over TLS, only a receiver with a certificate for its name gets the delivery."""
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example").configure_cert(theirs)
    async with hostile_server(tls=theirs) as server:
        server.on("/cb", whole(b"thanks"))
        names = Names(hooks_example=[[OPENED]], other_example=[[OPENED]])
        patient = sender(names=names, tls=trusting)
        good = await patient.send_once(delivery(f"https://hooks.example:{server.port}/cb"))
        bad = await patient.send_once(delivery(f"https://other.example:{server.port}/cb"))
    assert (good.outcome, bad.outcome) == (Outcome.DELIVERED, Outcome.FAILED)
    assert "certificate" in str(bad.error)
    assert len(server.requests) == 1


def test_secrets_do_not_show() -> None:
    """Neither the secret nor the address nor the body stands in a delivery's text."""
    text = repr(delivery("https://hooks.example/cb?token=hunter2"))
    assert "whsec" not in text
    assert "hunter2" not in text
