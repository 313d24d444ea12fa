"""A real HTTP or HTTPS server that does, byte for byte, what a test tells it to."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Sequence

#: A loopback address of its own: tests open it and nothing else, so 127.0.0.1 stays forbidden.
OPENED = "127.0.0.2"


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    target: str
    headers: dict[str, str]
    body: bytes


class Script(Protocol):
    """What the server does with one request."""

    async def __call__(self, request: Request, writer: asyncio.StreamWriter, /) -> None:
        """Answer, or do not."""


@dataclass
class HostileServer:
    """What the server does and has seen.

    Attributes:
        port: where it listens.
        scripts: what is done with requests, by path without query; each is used once but for the last.
        requests: what came, in order.
        connections: how many there were, also those that sent nothing.
    """

    port: int
    scripts: dict[str, list[Script]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def on(self, path: str, *scripts: Script) -> None:
        """Say what is done with the first, second ... request for a path."""
        self.scripts[path] = list(scripts)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Play the script for one connection."""
        self.connections += 1
        try:
            request = await _read_request(reader)
            self.requests.append(request)
            scripts = self.scripts[request.target.partition("?")[0]]
            await (scripts.pop(0) if len(scripts) > 1 else scripts[0])(request, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # The client has gone: that is what some tests are about.
        finally:
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()


@asynccontextmanager
async def hostile_server(
    host: str = OPENED, tls: ssl.SSLContext | None = None
) -> AsyncIterator[HostileServer]:
    """Run a server on a free port of this machine, in this test's own event loop."""
    handlers: set[asyncio.Task[None]] = set()
    state = HostileServer(0)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        try:
            with suppress(asyncio.CancelledError):
                await state.handle(reader, writer)
        finally:
            handlers.discard(task)

    server = await asyncio.start_server(handle, host, 0, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in list(handlers):
            task.cancel()
        if handlers:
            await asyncio.wait(handlers, timeout=5)
        await server.wait_closed()


def head(status: int = 200, /, **headers: int | str) -> bytes:
    """Return the head of an answer; underscores in names stand for hyphens."""
    lines = [f"HTTP/1.1 {status} Whatever"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(*pieces: bytes, pause_s: float = 0.0, forever: bool = False, hang: bool = False) -> Script:
    """Send these bytes with pauses between them, perhaps the last one for ever, and close or hang."""

    async def play(_request: Request, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        while forever:
            writer.write(pieces[-1])
            await writer.drain()
            await asyncio.sleep(pause_s)
        if hang:
            await asyncio.Event().wait()

    return play


def whole(body: bytes, status: int = 200, **headers: str) -> Script:
    """Answer honestly."""
    return answer(head(status, **headers, Content_Length=len(body)) + body)


def cut_after(body: bytes, count: int, **headers: str) -> Script:
    """Promise all of a body and close the connection after some bytes of it."""
    return answer(head(Content_Length=len(body), **headers) + body[:count])


def rest_of(body: bytes, etag: str, stop: int | None = None) -> Script:
    """Honour Range and If-Range as a good server does; `stop` closes the connection there."""

    async def play(request: Request, writer: asyncio.StreamWriter) -> None:
        asked = request.headers.get("range")
        if asked is None or request.headers.get("if-range") != etag:
            writer.write(head(Content_Length=len(body), ETag=etag) + body[:stop])
            return
        first = int(asked.removeprefix("bytes=").removesuffix("-"))
        span = f"bytes {first}-{len(body) - 1}/{len(body)}"
        writer.write(head(206, Content_Length=len(body) - first, Content_Range=span, ETag=etag))
        writer.write(body[first:stop])

    return play


def redirect(location: str, status: int = 302) -> Script:
    """Send the client elsewhere."""
    return answer(head(status, Location=location, Content_Length=0))


class Names:
    """A resolver with answers of its own; each is given once but for the last."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self.answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Answer."""
        del port
        self.asked.append(host)
        answers = self.answers.get(host, [()])
        return answers.pop(0) if len(answers) > 1 else answers[0]


async def _read_request(reader: asyncio.StreamReader) -> Request:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(lines[0].split(" ")[1], headers, body)
