"""The two clients against the running service: every group of calls, retries, uploads, waiting."""

from __future__ import annotations

import inspect
import json
import os
import re
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.client import (
    AsyncClient,
    Client,
    Conflict,
    Connection,
    Forbidden,
    NotFound,
    RateLimited,
    Refused,
    RetryPolicy,
    ServerFault,
    Unauthorized,
    Unavailable,
    Unreachable,
    read_webhook,
    task_calls,
)
from app.client.errors import UnreadableAnswer
from app.client.parts import FileChanged, Sent
from app.client.reading import read
from app.client.results import DetectResult
from app.webhooks.signing import BadSignature, signature_headers
from tests.app.tasks.running_service import KEY, running_service
from tests.pictures import PORTRAIT, picture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


ADMIN = ("admin", "correct horse")
QUICK = RetryPolicy(first_s=0.001, longest_s=0.01)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """Run the service."""
    with running_service(tmp_path_factory.mktemp("home")) as service:
        yield Connection(service.url, KEY, ADMIN)


@pytest.fixture
def client(connection: Connection) -> Iterator[Client]:
    """Return a client of it."""
    with Client(connection) as made:
        yield made


def test_pictures(client: Client) -> None:
    """Faces come as numbers with names, from a path, bytes or an open file; masks come as bytes."""
    assert client.health().is_well
    path = picture(PORTRAIT)
    found = client.detect(path, confidence=0.6, max_faces=5)
    assert found.summary.face_count == len(found.detections) == 2
    assert found.detections[0].landmarks is not None
    assert found.detections[0].bbox.x2 > found.detections[0].bbox.x1
    with path.open("rb") as stream:
        assert client.detect(stream).image == client.detect(path.read_bytes()).image
    masked = client.mask(path, method="solid", format="webp")
    assert (masked.format, masked.face_count) == ("webp", 2)
    assert masked.data == path.read_bytes()[::-1]  # what the engine of these tests makes
    assert masked.image_id is not None


def test_tasks(client: Client) -> None:
    """A file is sent, analysed, waited for, read, listed and removed."""
    told: list[Sent] = []
    upload = client.uploads.send_file(picture(PORTRAIT), on_sent=told.append)
    assert upload.status == "complete"
    assert told[-1].sent == told[-1].total == picture(PORTRAIT).stat().st_size
    made = client.tasks.create("image", upload.media_url, metadata={"order": 7}, idempotency_key="once")
    again = client.tasks.create("image", upload.media_url, metadata={"order": 7}, idempotency_key="once")
    assert again.task_id == made.task_id
    with pytest.raises(Conflict):
        client.tasks.create("image", upload.media_url, idempotency_key="once")
    task = client.tasks.wait(made.task_id, timeout_s=20)
    assert (task.status, task.metadata) == ("succeeded", {"order": 7})
    assert task.result is not None
    assert list(client.tasks.frames(made.task_id)) == list(task.result.frames)
    assert [face.face_id for face in task.result.frames[0].faces] == ["f_01", "f_02"]
    assert made.task_id in [each.task_id for each in client.tasks.each(status="succeeded", most=5)]
    with pytest.raises(Conflict):
        client.tasks.cancel(made.task_id)
    client.tasks.delete(made.task_id)
    with pytest.raises(NotFound) as gone:
        client.tasks.get(made.task_id)
    assert gone.value.request_id


def test_an_upload_goes_on_after_a_break(client: Client, tmp_path: Path) -> None:
    """Only the parts that are missing are sent; another file is not taken for the first one."""
    file = tmp_path / "clip.mp4"
    file.write_bytes(os.urandom(20_000_000))

    class Broken(Exception):
        """The line went dead."""

    ids: list[str] = []

    def after_the_first(sent: Sent) -> None:
        if sent.sent < sent.total:
            raise Broken

    with pytest.raises(Broken):
        client.uploads.send_file(
            file, on_sent=after_the_first, on_begun=lambda begun: ids.append(begun.upload_id)
        )
    told: list[Sent] = []
    assert client.uploads.send_file(file, upload_id=ids[0], on_sent=told.append).status == "complete"
    assert len(told) == 2
    file.write_bytes(b"another")
    with pytest.raises(FileChanged):
        client.uploads.send_file(file, upload_id=ids[0])


def test_administration(client: Client) -> None:
    """Keys are made, changed and removed; what is kept is listed and loaded."""
    made = client.keys.create("of a test", "free")
    assert repr(made.key) not in repr(made)
    assert client.keys.get(made.id).plan == "free"
    assert not client.keys.change(made.id, is_active=False).is_active
    assert client.keys.rotate_webhook_secret(made.id).webhook_secret != made.webhook_secret
    client.keys.delete(made.id)
    assert made.id not in [key.id for key in client.keys.list().items]
    client.mask(picture(PORTRAIT), method="solid")
    image = client.admin.images().items[0]
    assert client.admin.download_image(image.id) == picture(PORTRAIT).read_bytes()
    job = client.admin.jobs(job_type="mask").items[0]
    assert client.admin.download_job(job.id) == picture(PORTRAIT).read_bytes()[::-1]
    assert client.admin.job(job.id).payload is not None
    assert client.admin.stats().total_jobs >= 1
    assert client.admin.audit(limit=5).items
    assert client.admin.preview_mask(picture(PORTRAIT), method="solid").masking["regions_masked"] == 2
    client.admin.delete_image(image.id)


def test_a_session_with_a_cookie(connection: Connection) -> None:
    """Who logs in needs no password afterwards, until the logout."""
    with Client(Connection(connection.url)) as client:
        with pytest.raises(Unauthorized):
            client.admin.session()
        client.admin.login(*ADMIN)
        assert client.admin.session().username == "admin"
        client.admin.logout()
        with pytest.raises(Unauthorized):
            client.admin.session()


async def test_the_other_client(connection: Connection, tmp_path: Path) -> None:
    """The client for event loops does the same."""
    async with AsyncClient(connection) as client:
        assert (await client.health()).is_well
        assert (await client.detect(picture(PORTRAIT))).summary.face_count == 2
        file = tmp_path / "clip.mp4"
        file.write_bytes(os.urandom(20_000_000))
        told: list[Sent] = []
        assert (await client.uploads.send_file(file, on_sent=told.append)).status == "complete"
        assert len(told) == 3
        upload = await client.uploads.send_file(picture(PORTRAIT))
        made = await client.tasks.create("image", upload.media_url)
        task = await client.tasks.wait(made.task_id, timeout_s=20)
        assert task.result is not None
        assert [frame async for frame in client.tasks.frames(made.task_id)] == list(task.result.frames)
        assert made.task_id in [each.task_id async for each in client.tasks.each(most=3)]
        assert (await client.keys.list()).total >= 1


def test_both_clients_offer_the_same() -> None:
    """What one client can, the other can, with the same parameters."""

    def offered(kind: type[Client | AsyncClient]) -> dict[str, dict[str, Any]]:
        made = kind(Connection("http://127.0.0.1:9"))
        groups = {"": made, **{name: getattr(made, name) for name in GROUPS}}
        return {
            group: {
                name: [str(each) for each in inspect.signature(getattr(holder, name)).parameters.values()]
                for name in dir(holder)
                if not name.startswith("_") and callable(getattr(holder, name))
            }
            for group, holder in groups.items()
        }

    assert offered(Client) == offered(AsyncClient)


GROUPS = ("tasks", "uploads", "libraries", "keys", "admin", "console")


class Script:
    """Answers in turn, and counts."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, policy: RetryPolicy = QUICK) -> Client:
        """Return a client that speaks to this."""
        return Client(
            Connection("http://faces.test", "k"), policy, httpx.Client(transport=httpx.MockTransport(self))
        )


CREATED = httpx.Response(
    200,
    json={
        "task_id": "task_1",
        "status": "queued",
        "created_at": "2026-04-21T09:30:00Z",
        "estimated_seconds": 1,
    },
)
CANCELLED = httpx.Response(200, json={"task_id": "task_1", "status": "cancelled"})
BUSY = httpx.Response(
    429, headers={"Retry-After": "0"}, json={"error": {"code": "rate_limited", "message": "no"}}
)


@pytest.mark.parametrize(
    "trouble",
    [BUSY, httpx.Response(503), httpx.Response(500), httpx.ConnectError("no"), httpx.ReadError("cut")],
    ids=["429", "503", "500", "refused", "cut"],
)
def test_creation_is_repeated_as_one_task(trouble: httpx.Response | Exception) -> None:
    """A task is created again after trouble, with the same idempotency key."""
    script = Script(trouble, CREATED)
    assert script.client().tasks.create("image", "https://x/y.jpg").task_id == "task_1"
    keys = {request.headers["idempotency-key"] for request in script.asked}
    assert (len(script.asked), len(keys)) == (2, 1)


def test_what_may_have_been_done_is_not_repeated() -> None:
    """A cancellation whose answer was lost is told to the caller; one that never arrived is repeated."""
    cut = Script(httpx.ReadError("cut"), CANCELLED)
    with pytest.raises(Unreachable):
        cut.client().tasks.cancel("task_1")
    assert len(cut.asked) == 1
    refused = Script(httpx.ConnectError("no"), CANCELLED)
    assert refused.client().tasks.cancel("task_1").status == "cancelled"


def test_retry_after_is_honoured() -> None:
    """A pause is as long as the service asks; one beyond the client's patience is told instead."""
    waiting = Script(httpx.Response(429, headers={"Retry-After": "1"}), CREATED)
    client = waiting.client()
    started = time.monotonic()
    client.tasks.create("image", "https://x/y.jpg")
    assert time.monotonic() - started >= 1
    month = Script(httpx.Response(429, headers={"Retry-After": "900000"}), CREATED)
    with pytest.raises(RateLimited) as told:
        month.client().tasks.create("image", "https://x/y.jpg")
    assert told.value.retry_after_s == 900_000
    assert len(month.asked) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (httpx.Response(401, json={"detail": "no key"}), Unauthorized, "no key"),
        (
            httpx.Response(
                403, json={"error": {"code": "forbidden", "message": "no", "request_id": "req_1"}}
            ),
            Forbidden,
            "no (forbidden, request req_1)",
        ),
        (httpx.Response(413, text="<html>"), Refused, "HTTP 413"),
        (httpx.Response(503, json={"detail": "busy"}), Unavailable, "busy"),
        (httpx.Response(502, text="bad gateway"), ServerFault, "HTTP 502"),
        (httpx.Response(200, text="<html>"), UnreadableAnswer, "is this Facefleet?"),
        (httpx.Response(200, json={"tasks": 5}), UnreadableAnswer, "TaskPage"),
    ],
)
def test_refusals_have_names(answer: httpx.Response, kind: type[Exception], words: str) -> None:
    """Each kind of refusal is an exception of its own, with the service's words."""
    with pytest.raises(kind, match=re.escape(words)):
        Script(answer).client().tasks.list()


def test_keys_go_nowhere_else(client: Client) -> None:
    """Neither a redirect nor an address of a part gets to see a key."""
    script = Script(httpx.Response(200))
    script.client().send(task_calls.put_part("https://storage.test/part?signature=s", b"x"))
    assert "x-api-key" not in script.asked[0].headers
    assert KEY not in repr(client.connection)


def test_answers_may_have_more_than_is_known(client: Client) -> None:
    """Fields of newer services are read over."""
    path = picture(PORTRAIT)
    answer = httpx.post(
        f"{client.connection.url}/api/v1/detect",
        headers={"X-API-Key": KEY},
        files={"image": path.read_bytes()},
    ).json()
    answer["new"] = {"a": 1}
    answer["detections"][0]["attributes"] = {"age": 5, "aura": "blue"}
    found = read(DetectResult, answer)
    assert found.detections[0].attributes is not None
    assert found.detections[0].attributes.age == 5
    del answer["image"]
    with pytest.raises(UnreadableAnswer):
        read(DetectResult, answer)


def test_webhooks() -> None:
    """A delivery is read once its signature is right, and not before."""
    body = json.dumps(
        {
            "event": "task.failed",
            "task_id": "task_1",
            "status": "failed",
            "type": "image",
            "media": {"url": "https://x/y.jpg"},
            "created_at": "2026-04-21T09:30:00Z",
            "error": {"code": "invalid_media", "message": "no picture"},
        }
    ).encode()
    now = int(time.time())
    headers = signature_headers("task.failed", "msg_1", ["whsec_x"], now, body)
    event = read_webhook(headers, body, ["whsec_x"])
    assert (event.event, event.task.status) == ("task.failed", "failed")
    assert event.task.error is not None
    assert event.task.error.code == "invalid_media"
    with pytest.raises(BadSignature):
        read_webhook(headers, body + b" ", ["whsec_x"])
