"""Requests that no decent client sends: each gets an answer or a clear refusal, never a 500."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import UPLOAD_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import httpx

    from cluster.trial import Trial

NUMBERS = ["NaN", "inf", "-inf", "1e400", "-1e400", "-1", "", "abc", "0x10", "\x00", "\u0661x", "1,5"]
NUMBERS += ["9" * 400]
FIELDS = ["confidence", "nms_threshold", "max_faces", "strength", "padding", "quality"]
BOUNDARY = "multipart/form-data; boundary=B"
CHUNKED = {"Transfer-Encoding": "chunked"}


@pytest.fixture
def photo(portrait_path: Path) -> bytes:
    """Return the photo of one."""
    return portrait_path.read_bytes()


def part(
    data: bytes, disposition: str = 'form-data; name="image"; filename="a.jpg"', more: str = ""
) -> bytes:
    """Return one part of a form."""
    return f"--B\r\nContent-Disposition: {disposition}\r\n{more}\r\n".encode() + data + b"\r\n"


def send(service: Trial, start: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
    """Send bytes as they are; return the status and, of a refusal, the words."""
    lines = [start, "Host: x", f"X-API-Key: {service.key}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    raw = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    with socket.create_connection(("127.0.0.1", service.port), timeout=UPLOAD_TIMEOUT_S + 20) as opened:
        with suppress(ConnectionError):
            opened.sendall(raw)
        answer = b"".join(iter(lambda: opened.recv(65536), b""))
    head, _, text = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    return status, json.loads(text)["detail"] if status >= 400 else ""


def post(service: Trial, body: bytes, content_type: str = BOUNDARY, path: str = "detect") -> tuple[int, str]:
    """Post a body of a known length."""
    headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
    return send(service, f"POST /api/v1/{path} HTTP/1.1", headers, body)


@pytest.mark.parametrize("field", FIELDS)
def test_what_is_no_number_is_told(client: httpx.Client, photo: bytes, field: str) -> None:
    """Each is a 422 that names the field, whatever Python would make of it."""
    for number in NUMBERS:
        answer = client.post("/api/v1/mask", params={field: number}, files={"image": photo})
        assert answer.status_code == 422, (number, answer.text[:200])
        assert answer.json()["detail"].startswith(f"{field}: ")


@pytest.mark.parametrize(
    "query",
    [
        "confidence=0&nms_threshold=1",
        "confidence=0&nms_threshold=0&max_faces=0",
        "=",
        "&&&",
        "%00=%00",
        "a[]=1",
    ],
)
def test_odd_but_valid_queries_are_answered(client: httpx.Client, photo: bytes, query: str) -> None:
    """Every box of the network at once, and names that mean nothing, are no reason to fail."""
    for path in ("detect", "mask"):
        answer = client.post(f"/api/v1/{path}?{query}", files={"image": photo})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("disposition", "status"),
    [
        ('form-data; name="image"; filename="фото 写真 😀.jpg"', 200),
        ("form-data; name=\"image\"; filename*=UTF-8''%e2%82%ac%ff.jpg", 200),
        ("form-data; name=\"image\"; filename*=nonsense''%zz", 200),
        ('form-data; name="image"; filename="../../../etc/passwd"', 200),
        ('form-data; name="image"; filename=""', 200),
        ('form-data; filename="a.jpg"', 422),
        ('form-data; name="file"; filename="a.jpg"', 422),
        (';;;=;"', 422),
    ],
)
def test_names_of_parts_may_be_anything(service: Trial, photo: bytes, disposition: str, status: int) -> None:
    """A file's name is never used; a form without the field says so."""
    assert post(service, part(photo, disposition) + b"--B--\r\n")[0] == status


def test_forms_that_are_broken_are_told(service: Trial, photo: bytes) -> None:
    """Whatever is wrong with a form, the answer is a 400 or 415 in words."""
    whole = part(photo) + b"--B--\r\n"
    broken = [
        (whole, "multipart/form-data"),
        (whole, "multipart/form-data; boundary="),
        (whole, "multipart/form-data; boundary=" + "x" * 3000),
        (whole, "multipart/form-data; boundary=other"),
        (whole, "multipart/mixed; boundary=B"),
        (b"image=%ff%zz&&&==", "application/x-www-form-urlencoded"),
        (b"", BOUNDARY),
        (part(photo), BOUNDARY),
        (b'--B\r\nContent-Disposition: form-data; name="image"; file', BOUNDARY),
        (part(photo, more="X-A: " + "a" * 200_000 + "\r\n") + b"--B--\r\n", BOUNDARY),
        (part(photo, more="".join(f"X-{n}: a\r\n" for n in range(5000))) + b"--B--\r\n", BOUNDARY),
        (part(photo, more="no colon\r\n") + b"--B--\r\n", BOUNDARY),
        (part(b"x") * 1500 + b"--B--\r\n", BOUNDARY),
    ]
    for body, content_type in broken:
        status, words = post(service, body, content_type)
        assert status in {400, 415}, (content_type, body[:80], status)
        assert words


def test_the_first_of_repeated_pictures_is_taken(service: Trial, photo: bytes) -> None:
    """A field that comes twice is the first one; the second is read past."""
    assert post(service, part(photo) + part(b"nothing") + b"--B--\r\n")[0] == 200
    assert post(service, part(b"nothing") + part(photo) + b"--B--\r\n")[0] == 415


def test_bodies_in_chunks(service: Trial, photo: bytes) -> None:
    """Chunks of any size are a body, with extensions and trailers; one that breaks on the way is a 400."""
    form = part(photo) + b"--B--\r\n"
    size = f"{len(form):x}".encode()
    small = b"".join(
        b"%x\r\n%s\r\n" % (len(form[n : n + 99]), form[n : n + 99]) for n in range(0, len(form), 99)
    )
    headers = {"Content-Type": BOUNDARY, **CHUNKED}
    start = "POST /api/v1/detect HTTP/1.1"
    assert send(service, start, headers, small + b"0\r\n\r\n")[0] == 200
    assert send(service, start, headers, size + b";a=b\r\n" + form + b"\r\n0\r\nX-T: a\r\n\r\n")[0] == 200
    status, words = send(service, start, headers, size + b"\r\n" + form + b"\r\nzz\r\n")
    assert status == 400
    assert words


def test_old_and_strange_versions_are_answered(service: Trial, photo: bytes) -> None:
    """HTTP/1.0 clients are served, and so are headers that make no sense."""
    form = part(photo) + b"--B--\r\n"
    headers = {"Content-Type": BOUNDARY, "Content-Length": str(len(form))}
    strange = {
        "Expect": "junk",
        "Accept": "junk;q=x",
        "Range": "bytes=0-1",
        "Cookie": "=;;a",
        "Origin": "null",
    }
    for version in ("1.0", "1.1"):
        assert send(service, f"POST /api/v1/detect HTTP/{version}", headers | strange, form)[0] == 200


def test_requests_that_follow_each_other_unasked(service: Trial) -> None:
    """Pipelined requests get their answers in order, a refused one among them."""
    ask = f"GET %s HTTP/1.1\r\nHost: x\r\nX-API-Key: {service.key}\r\nConnection: %s\r\n\r\n"
    wanted = [("/health", "keep-alive"), ("/nowhere", "keep-alive"), ("/health", "close")]
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as opened:
        opened.sendall("".join(ask % each for each in wanted).encode())
        answer = b"".join(iter(lambda: opened.recv(65536), b""))
    statuses = [piece.split()[0] for piece in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200"]
