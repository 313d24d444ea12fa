"""A real HTTP server for downloads that misbehaves on request."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class FileServer:
    """What the server has and how it behaves; a test may change it between requests.

    Attributes:
        files: content by path.
        etag: version of all files; None sends none.
        drop_after: bytes after which each of the next connections is cut, one entry a connection.
        pause_s: wait between blocks of 64 KiB.
        claimed_length: a wrong Content-Length to send.
        ranges: the Range header of each request, in order; None where there was none.
        sent: bytes of bodies that were sent.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"v1"'
    drop_after: list[int] = field(default_factory=list)
    pause_s: float = 0.0
    claimed_length: int | None = None
    status: int | None = None
    ranges: list[str | None] = field(default_factory=list)
    sent: int = 0


class _Server(ThreadingHTTPServer):
    """Carries the state to the handlers."""

    daemon_threads = True
    state: FileServer


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """Answer with a file or the part of it that is asked for."""
        state = self.server.state
        wanted = self.headers.get("Range")
        state.ranges.append(wanted)
        content = state.files.get(self.path)
        if state.status is not None or content is None:
            self.send_error(state.status or 404)
            return
        same = wanted is not None and self.headers.get("If-Range") == state.etag
        start = int(str(wanted).removeprefix("bytes=").removesuffix("-")) if same else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if state.etag is not None:
            self.send_header("ETag", state.etag)
        length = len(content) - start if state.claimed_length is None else state.claimed_length
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.send_body(content[start:])

    def send_body(self, body: bytes) -> None:
        """Send a body block by block, or only its beginning."""
        state = self.server.state
        end = state.drop_after.pop(0) if state.drop_after else len(body)
        for position in range(0, min(end, len(body)), 1 << 16):
            block = body[position : min(position + (1 << 16), end)]
            try:
                self.wfile.write(block)
            except OSError:
                break  # The client has gone: that is what some tests are about.
            state.sent += len(block)
            time.sleep(state.pause_s)
        if end < len(body) or state.claimed_length is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Keep quiet."""


@contextmanager
def serve_files() -> Iterator[FileServer]:
    """Run a server on a free port of this machine."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.state = FileServer(url=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
