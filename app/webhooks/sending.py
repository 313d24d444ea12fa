"""One attempt at telling a caller's server something.

    delivery -> guard -> signed with the time of this attempt -> POST -> status -> `Attempt`

Whatever the receiver does, an attempt ends within its ten seconds and keeps nothing of what it sent.
"""

from __future__ import annotations

import math
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import TYPE_CHECKING, cast

import anyio

from app.net.guard import Refused
from app.net.pinned import Broken, header
from app.net.retry_after import read_retry_after
from app.net.urls import BadAddress, read_address
from app.webhooks.schedule import LONGEST_RETRY_AFTER
from app.webhooks.signing import signature_headers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    import httpcore

    from app.net.pinned import Outbound

TIMEOUT_S = 10.0
_DRAIN_S = 1.0
_DRAIN_BYTES = 64 * 1024
_OK, _REDIRECT, _GONE, _CALLER_FAULT = 200, 300, 410, 400


class Outcome(str, Enum):
    """How an attempt ended."""

    DELIVERED = "delivered"
    #: Try again later.
    FAILED = "failed"
    #: The receiver wants none of this any more.
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is to be told to whom.

    Attributes:
        message_id: the same for every attempt; receivers know repeats by it.
        url: the caller's address. It may hold a password of theirs, so it does not show.
        event: for example `task.succeeded`.
        body: the very bytes to send.
        secrets: those that are valid, newest first.
        attempt_no: counted from 1.
        request_id: of the request that all this is about; the receiver gets it as `X-Request-Id`.
    """

    message_id: str
    url: str = field(repr=False)
    event: str
    body: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    attempt_no: int = 1
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of it.

    Attributes:
        outcome: how it ended.
        status: the receiver's, where it answered.
        took_ms: how long it took.
        error: why it was no success, in words that may be shown to the caller.
        retry_after: how long the receiver wants to be left alone.
    """

    outcome: Outcome
    status: int | None
    took_ms: float
    error: str | None
    retry_after: timedelta | None


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a receiver said."""

    status: int
    retry_after: timedelta | None


class WebhookSender:
    """Makes attempts."""

    def __init__(
        self, outbound: Outbound, now: Callable[[], float] = time.time, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._outbound = outbound
        self._now = now
        self._timeout_s = timeout_s

    async def send_once(self, delivery: Delivery) -> Attempt:
        """Try once; never raises for what the receiver does."""
        began = time.monotonic()
        answer, error = None, None
        try:
            with anyio.fail_after(self._timeout_s) as scope:
                answer = await self._post(delivery, scope)
        except (BadAddress, Refused, Broken) as failure:
            error = failure.reason
        except TimeoutError:
            error = f"the server did not answer within {self._timeout_s:g} seconds"
        took_ms = (time.monotonic() - began) * 1000
        if answer is None:
            return Attempt(Outcome.FAILED, None, took_ms, error, None)
        return _judged(answer, took_ms)

    async def _post(self, delivery: Delivery, scope: anyio.CancelScope) -> _Answer:
        timestamp = int(self._now())
        headers = signature_headers(
            delivery.event,
            delivery.message_id,
            delivery.secrets,
            timestamp,
            delivery.body,
            delivery.attempt_no,
        ) | {
            "Content-Type": "application/json",
            "Content-Length": str(len(delivery.body)),
            "User-Agent": "Facefleet-Webhooks",
            "Accept-Encoding": "identity",
            "Connection": "close",
            **({"X-Request-Id": delivery.request_id} if delivery.request_id else {}),
        }
        async with self._outbound.exchange(
            read_address(delivery.url),
            headers,
            body=delivery.body,
            timeout_s=self._timeout_s,
            https_only=True,
        ) as response:
            now = datetime.fromtimestamp(timestamp, timezone.utc)
            retry_after = read_retry_after(header(response, "Retry-After"), now, LONGEST_RETRY_AFTER)
            # The answer is given: nothing that comes after it may make it a failure.
            scope.deadline = math.inf
            await _let_finish(response)
            return _Answer(response.status, retry_after)


def check_callback(url: str) -> None:
    """Look at an address for webhooks when it is handed in, without asking anybody.

    Raises:
        BadAddress: it can never be delivered to.
    """
    read_address(url)


async def _let_finish(response: httpcore.Response) -> None:
    """Take a short body, so that an honest receiver sees no broken connection; its bytes interest nobody."""
    taken = 0
    try:
        with anyio.move_on_after(_DRAIN_S):
            async with aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_stream())) as pieces:
                async for piece in pieces:
                    taken += len(piece)
                    if taken > _DRAIN_BYTES:
                        return
    except Exception:  # noqa: BLE001, S110 - the answer has been given; how its body ends changes nothing
        pass


def _judged(answer: _Answer, took_ms: float) -> Attempt:
    status = answer.status
    if _OK <= status < _REDIRECT:
        return Attempt(Outcome.DELIVERED, status, took_ms, None, None)
    if status == _GONE:
        return Attempt(Outcome.GONE, status, took_ms, "the server wants no more of these (410)", None)
    what = "redirects, which is not followed" if _REDIRECT <= status < _CALLER_FAULT else "answered"
    return Attempt(Outcome.FAILED, status, took_ms, f"the server {what} ({status})", answer.retry_after)
