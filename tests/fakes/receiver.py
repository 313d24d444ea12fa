"""A real HTTP server that hears webhooks and answers as the test wants."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Heard:
    """One request that arrived."""

    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class Receiver:
    """What arrived, and what is answered: `statuses` in turn, then 204."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)

    def wait_for(self, count: int, timeout_s: float = 15.0) -> list[Heard]:
        """Return what arrived once it is this much."""
        deadline = time.monotonic() + timeout_s
        while len(self.heard) < count:
            assert time.monotonic() < deadline, f"heard {len(self.heard)} of {count}"
            time.sleep(0.02)
        return list(self.heard)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    state: Receiver


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        """Remember the request and answer."""
        state = self.server.state
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        state.heard.append(Heard(headers, body, time.time()))
        self.send_response(state.statuses.pop(0) if state.statuses else 204)
        for name, value in state.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Keep quiet."""


@contextmanager
def webhook_receiver() -> Iterator[Receiver]:
    """Run a receiver on this machine."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.state = Receiver(f"http://127.0.0.1:{server.server_address[1]}/hook")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
