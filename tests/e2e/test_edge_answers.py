"""What surrounds the routes: ids, keys, wrong paths, and who can reach which port."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING

import grpc
import httpx
import psutil
import pytest

from app.settings import Settings
from cluster.environment import place_of

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.trial import Trial

#: Door two puts a prefix before it.
UUID = re.compile(r"(req_)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
REPLICA_CALL = "/ray.serve.ASGIService/HandleRequest"


def listening(service: Trial) -> dict[int, tuple[str, str]]:
    """Return the addresses and programs that the service listens with, by port."""
    found = {}
    for process in service.processes():
        for each in process.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN:
                found[each.laddr.port] = (each.laddr.ip.removeprefix("::ffff:"), process.name())
    return found


def own_address() -> str | None:
    """Return an address of this machine that is not loopback, if it has one."""
    addresses = (each for group in psutil.net_if_addrs().values() for each in group)
    return next(
        (
            each.address
            for each in addresses
            if each.family == socket.AF_INET and not each.address.startswith("127.")
        ),
        None,
    )


def test_the_id_of_a_request_is_in_the_header_once_and_in_the_body(
    client: httpx.Client, group_photo_path: Path
) -> None:
    """Caller and log can speak of one request."""
    answer = client.post("/api/v1/detect", files={"image": group_photo_path.read_bytes()})
    assert answer.headers.get_list("x-request-id") == [answer.json()["request_id"]]
    assert UUID.fullmatch(answer.json()["request_id"])


def test_a_callers_own_id_is_kept(client: httpx.Client, group_photo_path: Path) -> None:
    """An id that can do no harm is taken over, in the header and in the body."""
    answer = client.post(
        "/api/v1/detect",
        files={"image": group_photo_path.read_bytes()},
        headers={"X-Request-Id": "order-17.a_B"},
    )
    assert answer.headers.get_list("x-request-id") == ["order-17.a_B"]
    assert answer.json()["request_id"] == "order-17.a_B"


@pytest.mark.parametrize(
    "given", [["good, evil"], ["good", "second"], ["../x"], ["a" * 129], ["<script>"], [""]], ids=str
)
def test_a_harmful_id_is_replaced(client: httpx.Client, given: list[str]) -> None:
    """What is not a plain, single id is replaced by a new one."""
    answer = client.post("/v1/nowhere", headers=[("X-Request-Id", value) for value in given])
    (found,) = answer.headers.get_list("x-request-id")
    assert UUID.fullmatch(found)
    assert answer.json()["error"]["request_id"] == found


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/v1/nowhere", "/-/healthz", "/-/routes", "/docs"])
def test_every_answer_has_an_id(client: httpx.Client, path: str) -> None:
    """Whoever made it: the app, Serve or HAProxy."""
    assert len(client.get(path).headers.get_list("x-request-id")) == 1


@pytest.mark.parametrize("name", ["X-API-Key", "x-api-key", "X-Api-Key", "X-API-KEY"])
def test_the_keys_header_may_have_any_case(service: Trial, cat_path: Path, name: str) -> None:
    """Headers have no case, neither has ours."""
    answer = httpx.post(
        f"{service.url}/api/v1/detect",
        headers={name: service.key},
        files={"image": cat_path.read_bytes()},
        trust_env=False,
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}, {"X-API-Key": ""}], ids=str)
@pytest.mark.parametrize("path", ["/api/v1/detect", "/api/v1/mask"])
def test_without_a_key_nobody_gets_in(
    service: Trial, cat_path: Path, path: str, headers: dict[str, str]
) -> None:
    """No key and a wrong key are a 401 in door one's form."""
    answer = httpx.post(
        service.url + path, headers=headers, files={"image": cat_path.read_bytes()}, trust_env=False
    )
    assert answer.status_code == 401
    assert list(answer.json()) == ["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/detect", 405),
        ("PUT", "/api/v1/mask", 405),
        ("DELETE", "/health", 405),
        ("GET", "/nothing", 404),
        ("POST", "/api/v1/detect/", 404),
        ("GET", "/api/v2/detect", 404),
        ("GET", "/api/v1/../../etc/passwd", 404),
    ],
)
def test_wrong_methods_and_paths_are_told(client: httpx.Client, method: str, path: str, status: int) -> None:
    """What is not offered is a 404 or 405 in door one's form."""
    answer = client.request(method, path)
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]


def test_door_two_has_its_own_form(client: httpx.Client) -> None:
    """Under /v1/ errors have a code, a message and the request's id."""
    answer = client.get("/v1/nowhere")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]


def test_what_the_edge_refuses_has_both_forms(service: Trial) -> None:
    """A client of either door understands what HAProxy answers itself."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as opened:
        opened.sendall(b"POST /v1/task HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000000\r\n\r\n")
        raw = b"".join(iter(lambda: opened.recv(65536), b""))
    start, _, body = raw.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 413")
    answer = json.loads(body)
    assert answer["detail"] == answer["error"]["message"]
    assert answer["error"]["code"] == "payload_too_large"
    assert start.lower().count(b"x-request-id: " + answer["error"]["request_id"].encode()) == 1


def test_a_broken_line_closes_the_connection(service: Trial) -> None:
    """Bytes that are not HTTP are a 400, and no replica sees them."""
    for nonsense in (b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as opened:
            opened.sendall(nonsense)
            assert b"".join(iter(lambda: opened.recv(65536), b"")).startswith(b"HTTP/1.1 400")


def test_a_caller_cannot_steer_serve(client: httpx.Client, group_photo_path: Path) -> None:
    """How long Serve waits and what it speaks is not for headers to say."""
    steering = {
        "X-Request-Timeout-Seconds": "0.0001",
        "serve_multiplexed_model_id": "x",
        "Upgrade": "websocket",
    }
    answer = client.post("/api/v1/detect", files={"image": group_photo_path.read_bytes()}, headers=steering)
    assert answer.status_code == 200, answer.text
    upgrade = {"Connection": "Upgrade", "Sec-WebSocket-Key": "a" * 22 + "==", "Sec-WebSocket-Version": "13"}
    asked = client.get("/api/v1/detect", headers=steering | upgrade)
    assert asked.status_code == 405
    assert list(asked.json()) == ["detail"]


def test_an_unknown_method_is_told(client: httpx.Client) -> None:
    """A method that no route has is a 405 in both forms, made where the request comes in."""
    answer = client.request("FOO", "/api/v1/detect")
    assert answer.status_code == 405
    assert answer.json()["detail"] == answer.json()["error"]["message"]


def test_only_replicas_talk_beyond_loopback(service: Trial) -> None:
    """All ports are on loopback but those by which Serve's replicas reach each other."""
    found = listening(service)
    assert service.port in found
    beyond = {name for address, name in found.values() if address != "127.0.0.1"}
    assert all("ServeReplica" in name or name == "ray::ServeRepli" for name in beyond), found


def test_nothing_answers_on_another_address(service: Trial) -> None:
    """From the network only ports that ask for the token can be reached."""
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    for port, (bound, name) in listening(service).items():
        with socket.socket() as probe:
            probe.settimeout(2)
            reached = probe.connect_ex((address, port)) == 0
        assert reached == (bound == "::"), (port, bound, name)


def test_a_replica_refuses_calls_without_the_token(service: Trial) -> None:
    """Whoever reaches a replica's port and has no token is not let in."""
    ports = [port for port, (address, _) in listening(service).items() if address == "::"]
    assert ports
    for port in ports:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(REPLICA_CALL)
            with pytest.raises(grpc.RpcError) as caught:
                call(b"", timeout=5)
        assert caught.value.code() in {
            grpc.StatusCode.UNAUTHENTICATED,
            grpc.StatusCode.PERMISSION_DENIED,
        }, (port, caught.value)


def test_no_secret_is_in_the_logs(service: Trial, client: httpx.Client, group_photo_path: Path) -> None:
    """Neither keys nor what stands in an address nor faces are written down."""
    client.post(
        "/api/v1/detect?confidence=0.5&signature=do-not-write-this-down",
        files={"image": ("a-name-not-to-be-written-down.jpg", group_photo_path.read_bytes())},
    )
    logs = list((place_of(Settings(home=service.home)).ray / "session_latest" / "logs").rglob("*.*"))
    text = b"".join(log.read_bytes() for log in logs if log.is_file())
    assert b"/api/v1/detect" in text
    for secret in (service.key, service.admin_password, "do-not-write", "a-name-not-to-be", "left_eye"):
        assert secret.encode() not in text
