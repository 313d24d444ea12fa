"""Clients that are endless, slow, rude or gone, against the whole service."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.conftest import UPLOAD_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cluster.trial import Trial
    from tests.e2e.conftest import Post

THREE_GB = 3 * 1024**3
PIECE = bytes(1024 * 1024)
FORM = b'--B\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
#: What a replica may come to hold while somebody sends it 3 GB: a body up to the limit, and a copy.
GROWTH_MB = 250


def head(service: Trial, *headers: str, path: str = "/api/v1/detect") -> bytes:
    """Return the beginning of a request with a form."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: service",
        f"X-API-Key: {service.key}",
        "Content-Type: multipart/form-data; boundary=B",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@contextmanager
def connection(service: Trial, timeout: float = 40) -> Iterator[socket.socket]:
    """Open a bare connection."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=timeout) as opened:
        yield opened


def read_all(opened: socket.socket) -> bytes:
    """Return all that comes until the service closes."""
    pieces = []
    with suppress(ConnectionError):
        while piece := opened.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def status_of(raw: bytes) -> int:
    """Return the status of a raw answer, whose body must be in one of the documented forms."""
    start, _, body = raw.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in start.lower(), raw[:300]
    assert isinstance(json.loads(body)["detail"], str)
    return int(raw.split()[1])


def replicas_mb(service: Trial) -> list[float]:
    """Return what each replica holds for itself."""
    return [process.memory_full_info().uss / 1e6 for process in service.replicas()]


@contextmanager
def memory_flat(service: Trial) -> Iterator[None]:
    """Watch the replicas while the block runs: none dies, none grows beyond what a body may need."""
    before = {process.pid: process.memory_full_info().uss / 1e6 for process in service.replicas()}
    peak = dict(before)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            for process in service.replicas():
                peak[process.pid] = max(peak.get(process.pid, 0), process.memory_full_info().uss / 1e6)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    assert peak.keys() == before.keys()
    assert all(peak[pid] < before[pid] + GROWTH_MB for pid in before), (before, peak)


@pytest.fixture(autouse=True)
def service_answers_afterwards(detect: Post, group_photo_path: Path) -> Iterator[None]:
    """Whatever a client did, the next one is served."""
    yield
    answer = detect(group_photo_path.read_bytes())
    assert answer.status_code == 200, answer.text
    assert answer.json()["summary"]["face_count"] == 6


def test_three_gigabytes_that_are_declared_are_refused_unread(service: Trial) -> None:
    """The length alone is a 413, before a byte of the body was sent."""
    with memory_flat(service), connection(service) as opened:
        opened.sendall(head(service, f"Content-Length: {THREE_GB}"))
        answer = read_all(opened)
    assert status_of(answer) == 413
    assert b"connection: close" in answer.lower()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl, which is not installed")
def test_curl_gets_to_see_why_three_gigabytes_are_refused(service: Trial, tmp_path: Path) -> None:
    """A real client with a real file of 3 GB reads the refusal."""
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(THREE_GB)
    ran = subprocess.run(
        [
            *("curl", "--noproxy", "*", "-s", "-w", "\n%{http_code}", "-H", f"X-API-Key: {service.key}"),
            *("-F", f"image=@{large}", f"{service.url}/api/v1/detect"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    body, _, status = ran.stdout.rpartition("\n")
    assert status == "413", ran
    assert "too large" in json.loads(body)["detail"]


def test_three_gigabytes_in_chunks_are_refused_on_the_way(service: Trial) -> None:
    """A body of no declared length is a 413 once it is over the limit; the rest is never taken."""
    sent = 0
    with memory_flat(service), connection(service) as opened:
        opened.sendall(head(service, "Transfer-Encoding: chunked"))
        opened.sendall(b"%x\r\n%s\r\n" % (len(FORM), FORM))
        with suppress(ConnectionError):
            while sent < THREE_GB:
                opened.sendall(b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
                sent += len(PIECE)
        answer = read_all(opened)
    assert sent < 300e6
    assert status_of(answer) == 413


def test_a_client_that_sends_before_it_listens_sees_the_refusal(service: Trial) -> None:
    """60 MB from a client that looks at the answer only after it sent everything: a 413 all the same."""
    with memory_flat(service):
        answer = httpx.post(
            f"{service.url}/api/v1/detect",
            headers={"X-API-Key": service.key},
            files={"image": bytes(60_000_000)},
            timeout=60,
            trust_env=False,
        )
    assert answer.status_code == 413
    assert list(answer.json()) == ["detail"]


def test_a_body_that_trickles_is_given_up(service: Trial) -> None:
    """A client that sends a byte now and then gets a 408 once its time is over."""
    with connection(service) as opened:
        opened.sendall(head(service, "Content-Length: 100000") + FORM)
        start = time.monotonic()
        opened.settimeout(0.3)
        answer = b""
        while not answer and time.monotonic() < start + 5 * UPLOAD_TIMEOUT_S:
            opened.sendall(b"x")
            with suppress(TimeoutError):
                answer = opened.recv(65536)
        waited = time.monotonic() - start
        opened.settimeout(10)
        while not answer.endswith(b"}"):
            answer += opened.recv(65536)
    assert status_of(answer) == 408
    assert UPLOAD_TIMEOUT_S - 1 < waited < UPLOAD_TIMEOUT_S + 4


def test_many_slow_clients_hold_nobody_up(service: Trial, detect: Post, group_photo_path: Path) -> None:
    """A hundred clients that send headers and bodies by the byte do not slow another's request down."""
    opened = [socket.create_connection(("127.0.0.1", service.port), timeout=10) for _ in range(100)]
    try:
        for number, each in enumerate(opened):
            whole = head(service, "Content-Length: 100000") + FORM
            each.sendall(whole if number % 2 else whole[:40])
        answer = detect(group_photo_path.read_bytes())
        assert answer.status_code == 200
        assert answer.elapsed.total_seconds() < 3
    finally:
        for each in opened:
            each.close()


def test_headers_that_do_not_come_are_given_up(service: Trial) -> None:
    """A connection without a whole request on it is closed with a 408."""
    with connection(service) as opened:
        opened.sendall(b"GET /health HTTP/1.1\r\nHost: service\r\n")
        start = time.monotonic()
        answer = read_all(opened)
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - start < 25


def test_a_client_that_hangs_up_in_the_middle_of_its_body(service: Trial) -> None:
    """Fifty clients that vanish while they send leave nothing behind."""
    with memory_flat(service):
        for _ in range(50):
            with connection(service) as opened:
                opened.sendall(head(service, "Content-Length: 5000000") + FORM + PIECE)


def test_a_client_that_hangs_up_before_its_answer(service: Trial, group_photo_path: Path) -> None:
    """Clients that do not wait for what they asked for harm nobody."""
    picture = FORM + group_photo_path.read_bytes() + b"\r\n--B--\r\n"
    with memory_flat(service):
        for _ in range(20):
            with connection(service) as opened:
                opened.sendall(head(service, f"Content-Length: {len(picture)}") + picture)
                time.sleep(0.01)


def test_a_client_that_hangs_up_in_the_middle_of_its_answer(service: Trial, group_photo_path: Path) -> None:
    """Clients that leave while a picture is sent to them harm nobody."""
    picture = FORM + group_photo_path.read_bytes() + b"\r\n--B--\r\n"
    with memory_flat(service):
        for _ in range(5):
            with connection(service) as opened:
                path = "/api/v1/mask?format=png"
                opened.sendall(head(service, f"Content-Length: {len(picture)}", path=path) + picture)
                assert opened.recv(100).startswith(b"HTTP/1.1 200")
