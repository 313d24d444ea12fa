"""What surrounds every request, as plain ASGI: its id, its line in the log, the limits on its body.

    RequestRecord (id, log line) -> CORS where set -> BodyGuard (size, time, bugs) -> routes

Written against ASGI itself because every request passes here: no task and no copy is made per request.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING

import anyio
import structlog

from app.errors import DOOR_TWO, BodyTooSlow, MalformedBody, error_response
from app.logs import log_bug, traced
from pipelines.errors import MediaTooLarge, Unavailable
from pipelines.metrics import REQUESTS_IN_WORK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    #: Hears of each answer: the route's path, the status, the milliseconds, the faces.
    CountRequest = Callable[[str, int, float, int], None]

#: Where the id lies in the ASGI scope.
REQUEST_ID = "facefleet.request_id"
#: Where the number of faces lies that the answer tells of.
FACE_COUNT = "facefleet.face_count"
#: Where headers lie that the answer shall bear, whatever it will be.
ANSWER_HEADERS = "facefleet.answer_headers"
HEADER = b"x-request-id"
#: An incoming id is taken over when it can do no harm in a log, a header or a file name.
HARMLESS_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
#: W3C's trace context; its trace id is the request's where no other is sent.
TRACE = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
TRACE_HEADER = b"traceparent"
#: How much of a body that nobody wants is still read, so that its sender gets to see the answer. A
#: connection that is closed while the sender writes is reset, and the answer is lost on the way.
LINGER_BYTES = 64 * 1024 * 1024
LINGER_S = 2.0
CLIENT_GONE = 499

log = structlog.get_logger("facefleet.web")


class ClientGone(Exception):
    """The caller hung up before its request was complete; there is nobody to answer."""


def request_id_of(scope: Scope) -> str:
    """Return the id that this request goes by."""
    found: str = scope[REQUEST_ID]
    return found


def tell_faces(scope: Scope, count: int) -> None:
    """Note how many faces the answer to this request tells of."""
    scope[FACE_COUNT] = count


def answer_with(scope: Scope, headers: Mapping[str, str]) -> None:
    """Let the answer to this request bear these headers, also where it will be an error."""
    added = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope.setdefault(ANSWER_HEADERS, []).extend(added)


class RequestRecord:
    """Gives every request an id, sends it back, and writes one line when the request is done."""

    def __init__(
        self, app: ASGIApp, *, id_is_outside: bool = False, count: CountRequest | None = None
    ) -> None:
        self._app = app
        self._id_is_outside = id_is_outside
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; only the start of the answer is touched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _incoming_id(scope) or _new_id(scope)
        scope[REQUEST_ID] = request_id
        status = CLIENT_GONE
        REQUESTS_IN_WORK.change(1)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                added: list[tuple[bytes, bytes]] = scope.get(ANSWER_HEADERS, [])
                if not self._id_is_outside:
                    added = [*added, (HEADER, request_id.encode())]
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        try:
            with traced(request_id):
                await self._app(scope, receive, send_with_id)
        except ClientGone:
            pass
        finally:
            REQUESTS_IN_WORK.change(-1)
            route = getattr(scope.get("route"), "path", None)
            took_ms = round((time.perf_counter() - started) * 1e3, 2)
            if self._count is not None and route is not None:
                self._count(route, status, took_ms, scope.get(FACE_COUNT, 0))
            log.info(
                "request",
                request_id=request_id,
                method=scope["method"],
                route=route,
                status=status,
                ms=took_ms,
                **_trace_beside(scope, request_id),
            )


class BodyGuard:
    """Refuses bodies that are too large or too slow, and answers for bugs.

    Args:
        app: what is guarded.
        limit_for: the most bytes that a body may have, by path.
        timeout_s: how long a body may take to arrive.
    """

    def __init__(self, app: ASGIApp, *, limit_for: Callable[[str], int], timeout_s: float) -> None:
        self._app = app
        self._limit_for = limit_for
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body counted and timed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, self._limit_for(scope["path"]), self._timeout_s)
        answer = _Answer(body, send)
        try:
            body.check_declared()
            await self._app(scope, body.receive, answer.send)
        except ClientGone:
            raise
        except Exception as error:
            if not isinstance(error, (MediaTooLarge, MalformedBody, Unavailable)):
                log_bug("bug", error, request_id=request_id_of(scope))
            if answer.started:
                raise
            response = error_response(error, scope["path"], request_id_of(scope))
            await response(scope, body.receive, answer.send)


class _Body:
    """A request's body as it arrives: how much of it, whether in time, whether all."""

    def __init__(self, scope: Scope, receive: Receive, limit: int, timeout_s: float) -> None:
        headers = dict(scope["headers"])
        self._declared = headers.get(b"content-length")
        self._receive = receive
        self._limit = limit
        self._deadline = anyio.current_time() + timeout_s
        self._count = 0
        self._expected = self._declared not in {None, b"0"} or b"transfer-encoding" in headers
        self._complete = False

    @property
    def unread(self) -> bool:
        """Tell whether more of the body may come."""
        return self._expected and not self._complete

    def check_declared(self) -> None:
        """Refuse by what the headers say, before a byte is read."""
        if self._declared is None:
            return
        if not self._declared.isdigit():
            message = "Content-Length is not a number."
            raise MalformedBody(message)
        if int(self._declared) > self._limit:
            raise self._too_large()

    async def receive(self) -> Message:
        """Return the next piece.

        Raises:
            MediaTooLarge: more came than is allowed.
            BodyTooSlow: the time is over and the body not yet complete.
            ClientGone: the caller hung up in the middle of the body.
        """
        if self._complete:
            return await self._receive()
        try:
            with anyio.fail_after(self._deadline - anyio.current_time()):
                message = await self._receive()
        except TimeoutError:
            text = "The request's body did not arrive in time."
            raise BodyTooSlow(text) from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        self._count += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._count > self._limit:
            raise self._too_large()
        return message

    async def linger(self) -> None:
        """Read a bounded rest of the body and drop it."""
        left = LINGER_BYTES
        with anyio.move_on_after(LINGER_S):
            while left > 0 and not self._complete:
                message = await self._receive()
                left -= len(message.get("body", b""))
                self._complete = not message.get("more_body", False)

    def _too_large(self) -> MediaTooLarge:
        return MediaTooLarge(f"The request's body is larger than {self._limit} bytes.")


class _Answer:
    """The answer on its way out; where the body was not read to its end the connection is given up."""

    def __init__(self, body: _Body, send: Send) -> None:
        self._body = body
        self._send = send
        self.started = False
        self._unread = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self._unread = self._body.unread
            if self._unread:
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
        elif self._unread and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._body.linger()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)


def _new_id(scope: Scope) -> str:
    """Make an id in the form that the path's door is known for."""
    made = uuid.uuid4()
    return f"req_{made.hex}" if scope["path"].startswith(DOOR_TWO) else str(made)


def _incoming_id(scope: Scope) -> str | None:
    raw: bytes | None = next((value for name, value in scope["headers"] if name == HEADER), None)
    return raw.decode() if raw and HARMLESS_ID.fullmatch(raw) else _trace_id(scope)


def _trace_id(scope: Scope) -> str | None:
    raw: bytes | None = next((value for name, value in scope["headers"] if name == TRACE_HEADER), None)
    found = TRACE.fullmatch(raw) if raw else None
    return found[1].decode() if found else None


def _trace_beside(scope: Scope, request_id: str) -> dict[str, str]:
    """Return the caller's trace for the log, where the request goes by another id."""
    trace_id = _trace_id(scope)
    return {} if trace_id in {None, request_id} else {"trace_id": str(trace_id)}
