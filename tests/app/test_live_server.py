"""A real server on a real port: slow, endless, rude and vanishing clients; it stays alive and small."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.app.live import Server, live_server
from tests.app.test_door_one import PICTURE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "the-key-of-this-test"
LIMIT = 2_000_000
UPLOAD_TIMEOUT_S = 1.5
HEAD = f"POST /api/v1/detect HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n"
FORM = "Content-Type: multipart/form-data; boundary=B\r\n"
BODY = b'--B\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\npicture\r\n--B--\r\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start the service over the fake engine, and end it afterwards."""
    variables = {
        "FACE_API_BOOTSTRAP_KEY": KEY,
        "FACE_API_ADMIN_PASSWORD": "correct horse",
        "FACE_API_DETECT_RATE_LIMIT": "off",
        "FACE_API_MAX_IMAGE_BYTES": str(LIMIT),
        "FACE_API_UPLOAD_TIMEOUT_S": str(UPLOAD_TIMEOUT_S),
    }
    with live_server(tmp_path_factory.mktemp("home"), **variables) as started:
        yield started


def read_all(connection: socket.socket) -> bytes:
    """Return all that comes until the server closes."""
    pieces = []
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def detail(answer: bytes) -> str:
    """Return the message of a raw answer in door one's envelope."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-request-id: " in head
    content = json.loads(body)
    assert list(content) == ["detail"]
    message: str = content["detail"]
    return message


def test_a_picture_is_answered(server: Server) -> None:
    """A real client gets a real answer."""
    answer = httpx.post(f"{server.url}/api/v1/detect", headers={"X-API-Key": KEY}, files=PICTURE)
    assert answer.status_code == 200
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_connections_are_kept(server: Server) -> None:
    """One connection serves request after request."""
    with server.connection() as connection:
        for _ in range(3):
            connection.sendall(f"{HEAD}{FORM}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
            answer = b""
            while not answer.endswith(b'"fake_detector"}}'):
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"connection: close" not in answer.lower()


def test_three_gigabytes_announced_are_refused_unread(server: Server) -> None:
    """A length beyond the limit is a 413 before the body is sent."""
    with server.connection() as connection:
        connection.sendall(f"{HEAD}{FORM}Content-Length: {3 * 2**30}\r\n\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()
    assert "larger than" in detail(answer)
    assert server.is_well()


def test_three_gigabytes_in_chunks_are_cut(server: Server) -> None:
    """A body that announces nothing is cut when it passes the limit, and memory stays flat."""
    before = server.memory()
    chunk = b"100000\r\n" + bytes(2**20) + b"\r\n"
    sent = most = 0
    with server.connection() as connection:
        connection.sendall(f"{HEAD}Content-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        with suppress(BrokenPipeError, ConnectionResetError):
            while sent < 3 * 2**30:
                connection.sendall(chunk)
                sent += len(chunk)
                most = max(most, server.memory())
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413")
    assert sent < 200 * 2**20
    assert most - before < 30 * 2**20
    assert server.is_well()


def test_a_client_that_sends_before_it_reads_sees_the_413(server: Server) -> None:
    """A client that pushes all of a too large picture first reads the refusal, not a broken pipe."""
    with server.connection() as connection:
        connection.sendall(f"{HEAD}{FORM}Content-Length: {10 * LIMIT}\r\n\r\n".encode())
        for _ in range(10):
            connection.sendall(bytes(LIMIT))
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413")


def test_the_key_is_checked_before_the_body_is_read(server: Server) -> None:
    """A stranger is refused although not a byte of the announced body was sent."""
    with server.connection() as connection:
        head = HEAD.replace(KEY, "wrong")
        connection.sendall(f"{head}{FORM}Content-Length: 1000000\r\n\r\n".encode())
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("start", [b"", BODY[:20]])
def test_a_slow_client_is_told_so(server: Server, start: bytes) -> None:
    """A body that does not arrive in time is a 408, also where it drips."""
    began = time.monotonic()
    with server.connection() as connection:
        connection.sendall(f"{HEAD}{FORM}Content-Length: {len(BODY)}\r\n\r\n".encode() + start)
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert "in time" in detail(answer)
    assert UPLOAD_TIMEOUT_S - 0.1 < time.monotonic() - began < UPLOAD_TIMEOUT_S + 3


def test_dripping_does_not_buy_time(server: Server) -> None:
    """The limit is on the whole body: a byte now and then does not move it."""
    began = time.monotonic()
    with server.connection() as connection:
        connection.sendall(f"{HEAD}{FORM}Content-Length: 100000\r\n\r\n".encode() + BODY[:-20])
        connection.settimeout(0.1)
        answer = b""
        while not answer and time.monotonic() - began < 10:
            connection.sendall(b"-")
            with suppress(TimeoutError):
                answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - began < UPLOAD_TIMEOUT_S + 3


def test_a_client_that_hangs_up_is_forgotten(server: Server) -> None:
    """Clients that vanish in the middle leave a line in the log, no traceback, and a service that is well."""
    for _ in range(20):
        with server.connection() as connection:
            connection.sendall(f"{HEAD}{FORM}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY[:30])
    assert server.is_well()
    gone = [line for line in server.lines() if line["status"] == 499]
    assert len(gone) == 20
    assert {line["route"] for line in gone} == {"/api/v1/detect"}


@pytest.mark.parametrize(
    "head",
    [
        b"POST /api/v1/detect HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/v1/detect HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /api/v1/detect HTTP/1.1\r\nHost: x\r\nContent-Length: five\r\n\r\n",
        b"POST /api/v1/detect HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /nothing HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    ],
)
def test_bent_http_is_refused(server: Server, head: bytes) -> None:
    """What is not HTTP is answered with a 4xx or hung up on, and the service goes on."""
    with server.connection() as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(head)
            connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert server.is_well()


def test_a_length_longer_than_the_body_is_no_answer_and_no_harm(server: Server) -> None:
    """A client that announces more than it sends and then closes is gone; nobody waits for it."""
    with server.connection() as connection:
        connection.sendall(f"{HEAD}{FORM}Content-Length: {len(BODY) + 9}\r\n\r\n".encode() + BODY)
        connection.shutdown(socket.SHUT_WR)
        read_all(connection)
    assert server.is_well()


def test_many_requests_leave_no_memory_behind(server: Server) -> None:
    """Pictures that were answered are forgotten."""
    picture = {"image": os.urandom(1_000_000)}
    with httpx.Client(headers={"X-API-Key": KEY}) as client:
        for _ in range(50):
            client.post(f"{server.url}/api/v1/detect", files=picture)
        before = server.memory()
        for _ in range(300):
            assert client.post(f"{server.url}/api/v1/detect", files=picture).status_code == 200
    assert server.memory() - before < 10 * 2**20


def test_nothing_went_wrong_unseen(server: Server) -> None:
    """After all of the above the log holds request lines and nothing else: no bug, no traceback, no key."""
    lines = server.lines()
    assert {line["event"] for line in lines} == {"request"}
    assert KEY not in server.output.read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")
@pytest.mark.parametrize("path", ["/health", "/api/v1/detect", "/api/v1/mask"])
def test_the_examples_in_the_documentation_run(server: Server, tmp_path: Path, path: str) -> None:
    """The curl lines that the documentation shows work as they stand."""
    (tmp_path / "photo.jpg").write_bytes(b"a picture")
    routes = httpx.get(f"{server.url}/openapi.json").json()["paths"][path]
    description = next(iter(routes.values()))["description"]
    script = description.partition("For instance:")[2]
    done = subprocess.run(
        ["bash", "-euc", script.replace("curl", "curl --fail --silent --show-error")],
        cwd=tmp_path,
        env={**os.environ, "URL": server.url, "KEY": KEY},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout or (tmp_path / "masked.webp").read_bytes()
