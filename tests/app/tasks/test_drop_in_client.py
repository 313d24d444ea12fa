"""A client written from the published text of the tasks API alone, against the running service."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.app.tasks.running_service import KEY, SECRET, running_service
from tests.fakes.file_server import FileServer, serve_files
from tests.fakes.receiver import Receiver, webhook_receiver
from tests.pictures import PORTRAIT, picture

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 20.0


class Client:
    """Knows what the documentation says, and nothing else."""

    def __init__(self, base_url: str, key: str) -> None:
        self.http = httpx.Client(base_url=base_url, headers={"x-api-key": key}, timeout=20)

    def create(self, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Submit a task."""
        answer = self.http.post("/v1/create-detection-task", json=fields)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def poll(self, task_id: str) -> dict[str, Any]:
        """Ask until the task has ended."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            task = self.http.get(f"/v1/task/{task_id}").json()
            if task["status"] not in {"queued", "running"}:
                return dict(task)
            time.sleep(0.05)
        raise AssertionError(task)


@pytest.fixture(scope="module")
def media() -> Iterator[FileServer]:
    """Serve a photo of one person, and a text that says it is one."""
    with serve_files() as server:
        server.files["/portrait.png"] = picture(PORTRAIT).read_bytes()
        server.files["/text.jpg"] = b"I am a picture"
        yield server


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """Hear webhooks."""
    with webhook_receiver() as hearing:
        yield hearing


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Speak to the running service."""
    with running_service(tmp_path_factory.mktemp("home")) as service:
        opened = Client(service.url, KEY)
        yield opened
        opened.http.close()


def test_create_poll_and_callback(client: Client, media: FileServer, receiver: Receiver) -> None:
    """The three steps to a first detection: submit, poll, receive the signed callback."""
    created = client.create(
        type="image",
        media_url=f"{media.url}/portrait.png",
        min_face_size=40,
        attributes=[],
        recognize=0,
        callback_url=receiver.url,
        metadata={"order": "121233"},
    )
    assert set(created) == {"request_id", "task_id", "status", "created_at", "estimated_seconds"}
    assert created["request_id"].startswith("req_")
    assert created["task_id"].startswith("task_")
    assert created["status"] == "queued"
    assert isinstance(created["estimated_seconds"], int)
    _check_time(created["created_at"])

    task = client.poll(created["task_id"])
    assert task["status"] == "succeeded", task
    assert (task["task_id"], task["type"]) == (created["task_id"], "image")
    assert task["media"]["url"] == f"{media.url}/portrait.png"
    assert (task["media"]["width"], task["media"]["height"]) == (512, 512)
    assert task["metadata"] == task["result"]["metadata"] == {"order": "121233"}
    _check_time(task["completed_at"])
    frames = task["result"]["frames"]
    assert [frame["timestamp"] for frame in frames] == [0.0]
    faces = frames[0]["faces"]
    assert [face["face_id"] for face in faces] == ["f_01", "f_02"]
    for face in faces:
        assert all(isinstance(value, int) for value in face["bbox"])
        assert 0 <= face["confidence"] <= 1
    assert faces[0]["bbox"] == [10, 20, 71, 91]
    assert task["result"]["summary"] == {"total_faces": 2, "unique_identities": 2}

    heard = receiver.wait_for(1)[-1]
    assert heard.headers["content-type"] == "application/json"
    assert heard.headers["x-facemint-event"] == "task.succeeded"
    timestamp = heard.headers["x-facemint-timestamp"]
    assert abs(time.time() - int(timestamp)) < 300
    expected = hmac.new(SECRET.encode(), timestamp.encode() + b"." + heard.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(expected, heard.headers["x-facemint-signature"])
    told = json.loads(heard.body)
    assert (told["event"], told["task_id"], told["status"]) == (
        "task.succeeded",
        created["task_id"],
        "succeeded",
    )
    assert told["result"] == task["result"]
    assert {**told, "request_id": ""} == {**task, "request_id": "", "event": "task.succeeded"}


def test_the_whole_is_quick(client: Client, media: FileServer, receiver: Receiver) -> None:
    """A picture's task costs little more than the picture, and its callback comes at once."""
    before = len(receiver.heard)
    begun = time.monotonic()
    created = client.create(type="image", media_url=f"{media.url}/portrait.png", callback_url=receiver.url)
    client.poll(created["task_id"])
    assert time.monotonic() - begun < 5
    receiver.wait_for(before + 1, 5)


def test_media_that_cannot_be_decoded_fails(client: Client, media: FileServer, receiver: Receiver) -> None:
    """A task whose media is no picture fails with the published code, and the callback says so."""
    before = len(receiver.heard)
    created = client.create(type="image", media_url=f"{media.url}/text.jpg", callback_url=receiver.url)
    task = client.poll(created["task_id"])
    assert (task["status"], task["result"]) == ("failed", None)
    assert task["error"]["code"] == "invalid_media"
    heard = receiver.wait_for(before + 1)[-1]
    assert heard.headers["x-facemint-event"] == "task.failed"
    assert json.loads(heard.body)["error"] == task["error"]


def test_media_that_is_not_there_fails(client: Client, media: FileServer) -> None:
    """A URL that leads nowhere is told as such."""
    created = client.create(type="image", media_url=f"{media.url}/nothing.jpg")
    task = client.poll(created["task_id"])
    assert (task["status"], task["error"]["code"]) == ("failed", "invalid_media")


def test_listing_with_cursors(client: Client, media: FileServer) -> None:
    """Recent tasks come newest first, page by page, each once."""
    made = [client.create(type="image", media_url=f"{media.url}/portrait.png")["task_id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": "2", "type": "image"} | ({"cursor": cursor} if cursor else {})
        page = client.http.get("/v1/tasks", params=query).json()
        assert len(page["tasks"]) <= 2
        seen += [task["task_id"] for task in page["tasks"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen[:5] == made[::-1]
    assert len(seen) == len(set(seen))
    assert seen == sorted(seen, reverse=True)
    failed = client.http.get("/v1/tasks", params={"status": "failed"}).json()["tasks"]
    assert {task["status"] for task in failed} == {"failed"}
    later = client.http.get("/v1/tasks", params={"created_after": "2999-01-01T00:00:00Z"}).json()
    assert later["tasks"] == []


def test_cancelling_what_is_done_conflicts(client: Client, media: FileServer) -> None:
    """Tasks that have succeeded cannot be cancelled."""
    created = client.create(type="image", media_url=f"{media.url}/portrait.png")
    client.poll(created["task_id"])
    answer = client.http.post(f"/v1/task/{created['task_id']}/cancel")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/create-detection-task", b"{", 400, "invalid_request"),
        ("POST", "/v1/create-detection-task", b"{}", 400, "invalid_request"),
        ("GET", "/v1/task/task_0195e3ab6f4a7c2d", None, 404, "not_found"),
        ("GET", "/v1/nothing", None, 404, "not_found"),
        ("PATCH", "/v1/tasks", None, 405, "invalid_request"),
    ],
)
def test_errors_have_the_uniform_envelope(
    client: Client, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    """Whatever is wrong is told as code, message and request id."""
    answer = client.http.request(
        method, path, content=body, headers={"Content-Type": "application/json"} if body else {}
    )
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "request_id"}
    assert error["code"] == code
    assert error["request_id"] == answer.headers["x-request-id"]


def test_rate_headers_and_keys(client: Client) -> None:
    """Answers tell what is left of the limit; without a key there is none but 401."""
    answer = client.http.get("/v1/tasks")
    limit, remaining = (int(answer.headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining"))
    assert 0 < remaining < limit
    assert int(answer.headers["x-ratelimit-reset"]) >= int(time.time())
    refused = client.http.get("/v1/tasks", headers={"x-api-key": "wrong"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unauthorized")


def _check_time(text: str) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text)
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert abs((datetime.now(timezone.utc) - moment).total_seconds()) < 120
