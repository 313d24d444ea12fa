"""Door two's routes over HTTP: every field with hostile values, other keys, limits, uploads."""

from __future__ import annotations

import json
import os
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr

from app.api import create_app
from app.plans import Plan
from app.records.values import Actor
from app.services import open_services
from app.settings import Settings
from app.tasks.image_work import ImagePipeline
from app.tasks.opening import Tasks, open_tasks
from app.tasks.runner import RunnerPace
from app.tasks.uploads import PART_BYTES
from app.tasks.values import TaskType
from pipelines.attributes import Attribute
from tests.app.conftest import client_of
from tests.app.records.requests import until
from tests.app.storage.conftest import s3_place
from tests.fakes.engine import FakeEngine
from tests.pictures import PORTRAIT, picture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.servers import S3Server

MEDIA = "https://example.com/a.jpg"
KEY = "the-key-of-this-test"
ADMIN = Actor("admin", "192.0.2.1")
TINY = Plan(requests_per_minute=3, concurrent_tasks=1, monthly_minutes=1)


class Service:
    """Door two over the fake engine, with nobody who takes tasks up unless asked for."""

    def __init__(self, client: httpx.AsyncClient, tasks: Tasks, engine: FakeEngine, app: Any) -> None:  # noqa: ANN401
        self.client = client
        self.tasks = tasks
        self.engine = engine
        self.app = app

    async def create(self, **fields: Any) -> httpx.Response:  # noqa: ANN401 - JSON
        """Submit a task."""
        body = {"type": "image", "media_url": MEDIA, **fields}
        return await self.client.post("/v1/create-detection-task", content=json.dumps(body), headers=AS_JSON)

    async def send(self, body: bytes, **headers: str) -> httpx.Response:
        """Submit whatever it is."""
        return await self.client.post(
            "/v1/create-detection-task", content=body, headers={**AS_JSON, **headers}
        )


AS_JSON = {"Content-Type": "application/json"}


@asynccontextmanager
async def opened(home: Path, *, runs: bool = False, **settings: Any) -> AsyncIterator[Service]:  # noqa: ANN401
    """Open the service in this process."""
    engine = FakeEngine()
    chosen = Settings(
        home=home,
        bootstrap_key=SecretStr(KEY),
        admin_password=SecretStr("correct horse"),
        plans={"tiny": TINY},
        fetch_allow=("localhost",),
        **settings,
    )
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(chosen, engine))
        tasks = await stack.enter_async_context(
            open_tasks(
                services,
                {TaskType.IMAGE: ImagePipeline(engine)} if runs else None,
                attributes=[Attribute.AGE, Attribute.POSE],
                pace=RunnerPace(lease_s=2.0, poll_s=0.05),
            )
        )
        app = create_app(services, tasks=tasks)
        client = await stack.enter_async_context(client_of(app, KEY))
        yield Service(client, tasks, engine, app)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """Return the service."""
    async with opened(tmp_path) as made:
        yield made


def error_of(answer: httpx.Response) -> tuple[int, str, str]:
    """Return status, code and message of a refusal in its envelope."""
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "request_id"}
    return answer.status_code, error["code"], error["message"]


ODD: list[Any] = [True, "2", [], {}, 2.5, -1, 10**40, "\u0000", "é" * 9000]


async def test_values_out_of_range_are_refused(service: Service) -> None:
    """Each is answered with 400 and `invalid_request`, the message names the field, and no task is made."""
    for field, values in [
        ("type", ["", "VIDEO", "audio", None, *ODD]),
        (
            "media_url",
            ["", "ftp://example.com/a", "file:///etc/passwd", "example.com", None, "http://", *ODD],
        ),
        (
            "media_url",
            ["https://a@b@c/", "https://user:secret@example.com/", "http://0x7f.1/", "//example.com/a"],
        ),
        (
            "media_url",
            ["https://exa mple.com/a", "https://example.com/\n", " https://example.com/", "s3://x/y"],
        ),
        (
            "media_url",
            ["upload://", "upload://../x", "https://example.com/" + "a" * 9000, "concat:a|b", "data:,x"],
        ),
        ("sample_rate", [0, 31, *ODD]),
        ("min_face_size", [10_001, *ODD]),
        ("confidence_threshold", [1.01, -0.01, *(odd for odd in ODD if odd != 2.5), 2.5]),
        ("attributes", [["beauty"], ["age", 1], "age", ["landmarks"], ["age"] * 65, [None], {}, True, 1]),
        ("recognize", [1, 2, *ODD]),
        ("library_id", ["", "x" * 129, 1, [], {}, True]),
        ("top_k", [0, 11, *ODD]),
        ("callback_url", ["", "http://example.com/cb", "ftp://example.com", "https://u:p@example.com", *ODD]),
        ("metadata", [[], "x", 1, True, {"a": "é" * 1025}, {"a": [[0] * 1100]}, {"a" * 2100: 1}]),
    ]:
        for value in values:
            answer = await service.create(**{field: value})
            status, code, message = error_of(answer)
            assert (status, code) == (400, "invalid_request"), (field, value, answer.text)
            assert field in message or "library_id" in message, (field, value, message)
            assert "secret" not in message
        assert await service.tasks.store.count_open() == 0


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"start_time": -1}, "start_time"),
        ({"start_time": "0"}, "start_time"),
        ({"start_time": 5, "end_time": 5}, "end_time"),
        ({"end_time": 0}, "end_time"),
        ({"end_time": True}, "end_time"),
        ({"recognize": 1}, "library_id"),
        ({"recognize": 1, "library_id": "staff"}, "recognize"),
    ],
)
async def test_fields_that_do_not_go_together(service: Service, fields: dict[str, Any], named: str) -> None:
    """A message says which field is to be changed."""
    status, code, message = error_of(await service.create(**{"type": "video", **fields}))
    assert (status, code) == (400, "invalid_request")
    assert named in message


async def test_media_that_nobody_here_analyses_are_refused(tmp_path: Path) -> None:
    """Where one process does it all and knows pictures alone, a video is not queued."""
    async with opened(tmp_path, runs=True) as service:
        status, code, message = error_of(await service.create(type="video"))
    assert (status, code) == (400, "invalid_request")
    assert message.startswith("type: ")


async def test_bodies_that_are_no_request(service: Service) -> None:
    """Whatever it is, it is answered with 400 and `invalid_request`."""
    for body in [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"[" * 100_000,
        b'{"a":' * 5000,
        b'{"type": "image", "media_url": "\xff"}',
        b'{"type": "image", "media_url": "https://example.com/\\ud800"}',
        b'{"type": "image", "media_url": "https://example.com/a", "confidence_threshold": NaN}',
        b'{"type": "image", "media_url": "https://example.com/a", "confidence_threshold": 1e999}',
        b'{"type": "image", "media_url": "https://example.com/a", "sample_rate": ' + b"9" * 5000 + b"}",
        b'{"type": "image", "media_url": "https://example.com/a", "metadata": {"x": "\\ud800"}}',
        b'{"type": "image", "media_url": "https://example.com/a", "metadata": {"x": NaN}}',
        b'{"type": "image", "media_url": "https://example.com/a", "metadata": {"x": Infinity}}',
        b'{"type": "image", "media_url": "https://example.com/a", "metadata": {"a": '
        + b"[" * 900
        + b"]" * 900
        + b"}}",
    ]:
        answer = await service.send(body)
        if answer.status_code == 200:  # nested, small enough, and JSON: it must come back as it is
            task = (await service.client.get(f"/v1/task/{answer.json()['task_id']}")).json()
            assert task["metadata"] == json.loads(body)["metadata"]
            continue
        assert error_of(answer)[:2] == (400, "invalid_request")


async def test_what_is_in_range_is_taken(service: Service) -> None:
    """Borders count as inside, null as left out, 2.0 as 2; fields that nobody knows are ignored."""
    metadata = {"né": ["\u0007", 1, None, {"x": 1.5}], "big": 2**60}
    answer = await service.create(
        sample_rate=30.0,
        min_face_size=0,
        confidence_threshold=1,
        attributes=["age", "pose", "age"],
        recognize=0,
        library_id=None,
        top_k=10,
        start_time=None,
        end_time=None,
        metadata=metadata,
        callback_url="https://example.com/cb?id=121233",
        unknown={"x": 1},
    )
    assert answer.status_code == 200, answer.text
    task = (await service.client.get(f"/v1/task/{answer.json()['task_id']}")).json()
    assert (task["status"], task["metadata"], task["result"]) == ("queued", metadata, None)
    assert (await service.create(callback_url="http://localhost:1/cb")).status_code == 200


async def test_bent_queries_are_refused(service: Service) -> None:
    """A list is refused in the envelope where the query makes no sense."""
    for query in [
        "status=done",
        "type=audio",
        "limit=0",
        "limit=101",
        "limit=x",
        "created_after=yesterday",
        "created_after=2026-04-21T09:30:00",
        "cursor=x",
        "cursor=%00",
        "cursor=" + "a" * 513,
    ]:
        assert error_of(await service.client.get(f"/v1/tasks?{query}"))[:2] == (400, "invalid_request")


async def test_names_of_no_task(service: Service) -> None:
    """They are answered with 404, whatever is asked of them."""
    for name in ["x", "task_", "task_" + "0" * 31, "task_" + "G" * 32, "task_" + "0" * 32, "..%2f..", "%00"]:
        for method, path in (("GET", ""), ("GET", "/result"), ("POST", "/cancel"), ("DELETE", "")):
            answer = await service.client.request(method, f"/v1/task/{name}{path}")
            assert error_of(answer)[:2] == (404, "not_found")


async def test_another_keys_task_is_forbidden(tmp_path: Path) -> None:
    """A key sees, cancels and deletes its own tasks only."""
    async with opened(tmp_path) as service:
        task_id = (await service.create()).json()["task_id"]
        stranger = await _other_key(service, "default")
        async with client_of(service.app, stranger) as client:
            for method, path in (("GET", ""), ("GET", "/result"), ("POST", "/cancel"), ("DELETE", "")):
                answer = await client.request(method, f"/v1/task/{task_id}{path}")
                assert error_of(answer)[:2] == (403, "forbidden")
            assert (await client.get("/v1/tasks")).json()["tasks"] == []


async def test_the_plan_limits_requests(tmp_path: Path) -> None:
    """A key's plan decides what the headers say, and when 429 is answered."""
    async with (
        opened(tmp_path) as service,
        client_of(service.app, await _other_key(service, "Tiny")) as client,
    ):
        answers = [await client.get("/v1/tasks") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"3"}
    assert int(answers[-1].headers["retry-after"]) > 0
    assert error_of(answers[-1])[1] == "rate_limited"


async def test_idempotency_over_http(service: Service) -> None:
    """The same key and meaning get the very same answer, another meaning 409."""
    body = b'{"type": "image", "media_url": "https://example.com/a.jpg", "top_k": 2}'
    same = b'{"media_url":"https://example.com/a.jpg","top_k":2,"type":"image"}'
    first, again = [await service.send(each, **{"Idempotency-Key": "one"}) for each in (body, same)]
    assert first.json() == again.json()
    other = await service.send(body.replace(b"2", b"3"), **{"Idempotency-Key": "one"})
    assert error_of(other)[:2] == (409, "conflict")
    assert error_of(await service.send(body, **{"Idempotency-Key": "x" * 256}))[:2] == (
        400,
        "invalid_request",
    )
    assert await service.tasks.store.count_open() == 1


async def test_cancel_and_delete_over_http(service: Service) -> None:
    """A cancelled task says so, once; a deleted one is gone."""
    task_id = (await service.create()).json()["task_id"]
    answer = await service.client.post(f"/v1/task/{task_id}/cancel")
    assert (answer.json()["task_id"], answer.json()["status"]) == (task_id, "cancelled")
    assert error_of(await service.client.post(f"/v1/task/{task_id}/cancel"))[:2] == (409, "conflict")
    page = await service.client.get(f"/v1/task/{task_id}/result")
    assert error_of(page)[:2] == (409, "conflict")
    assert (await service.client.delete(f"/v1/task/{task_id}")).json()["deleted"] is True
    assert (await service.client.get(f"/v1/task/{task_id}")).status_code == 404


async def test_a_file_in_parts_becomes_media(tmp_path: Path) -> None:
    """Parts arrive in any order and again; the whole is analysed, and goes with its task."""
    data = picture(PORTRAIT).read_bytes() + os.urandom(PART_BYTES)
    async with opened(tmp_path, runs=True) as service:
        client = service.client
        answer = await client.post("/v1/uploads", json={"filename": "../a\u0000.png", "size": len(data)})
        upload = answer.json()
        assert (upload["parts"]["size"], upload["parts"]["count"]) == (PART_BYTES, 2)
        urls = upload["parts"]["urls"]
        async with client_of(service.app) as anybody:
            early = await client.post(f"/v1/uploads/{upload['upload_id']}/complete")
            assert error_of(early)[:2] == (409, "conflict")
            for number in (1, 0, 0):
                part = data[number * PART_BYTES : (number + 1) * PART_BYTES]
                assert (await anybody.put(urls[number], content=part)).status_code == 200
            for url, part, status in (
                (urls[0], b"short", 400),
                (urls[0].replace("parts/1", "parts/2"), data[:PART_BYTES], 403),
                (urls[0].replace("expires=", "expires=9"), data[:PART_BYTES], 403),
                (urls[0].split("&", maxsplit=1)[0], data[:PART_BYTES], 403),
                (urls[0], b"x" * (PART_BYTES + 1), 413),
            ):
                assert error_of(await anybody.put(url, content=part))[0] == status
        assert (await client.get(f"/v1/uploads/{upload['upload_id']}")).json()["parts"]["missing"] == []
        for _ in range(2):
            done = await client.post(f"/v1/uploads/{upload['upload_id']}/complete")
            assert (done.status_code, done.json()["media_url"]) == (200, upload["media_url"])
        late = await client.put(urls[0], content=data[:PART_BYTES])
        assert error_of(late)[:2] == (409, "conflict")

        task_id = (await service.create(media_url=upload["media_url"])).json()["task_id"]

        async def is_done() -> bool:
            status: str = (await client.get(f"/v1/task/{task_id}")).json()["status"]
            assert status != "failed"
            return status == "succeeded"

        await until(is_done)
        assert service.engine.seen == [data]
        stranger = await _other_key(service, "default")
        async with client_of(service.app, stranger) as other:
            path = f"/v1/uploads/{upload['upload_id']}"
            assert (await other.get(path)).status_code == 403
            assert (await other.post(f"{path}/complete")).status_code == 403
        await client.delete(f"/v1/task/{task_id}")
        assert (await client.get(f"/v1/uploads/{upload['upload_id']}")).status_code == 404
        assert not [path for path in (tmp_path / "objects").rglob("*") if path.is_file()]


async def test_senseless_uploads_are_refused(service: Service) -> None:
    """A size must be a number of bytes, and a name a name."""
    for body in [
        {"filename": "a", "size": 0},
        {"filename": "a", "size": -1},
        {"filename": "a", "size": 1.5},
        {"filename": "a", "size": True},
        {"filename": "a", "size": "1"},
        {"filename": "", "size": 1},
        {"filename": "a" * 256, "size": 1},
        {"size": 1},
    ]:
        assert error_of(await service.client.post("/v1/uploads", json=body))[:2] == (400, "invalid_request")


async def test_uploads_that_are_too_large(service: Service) -> None:
    """More than any task takes is refused before a byte is sent."""
    answer = await service.client.post("/v1/uploads", json={"filename": "a", "size": 2_000_000_001})
    assert error_of(answer)[:2] == (413, "payload_too_large")


async def test_without_storage_there_are_no_uploads(tmp_path: Path) -> None:
    """The route says that it is switched off; tasks go on."""
    async with opened(tmp_path, storage_enabled=False) as service:
        answer = await service.client.post("/v1/uploads", json={"filename": "a", "size": 1})
        assert answer.status_code == 501
        assert (await service.create()).status_code == 200
        assert error_of(await service.create(media_url="upload://up_1"))[0] == 400


async def test_without_keys_nothing_can_be_signed(tmp_path: Path) -> None:
    """Where keys are off tasks work and belong to everybody, but callbacks are refused."""
    async with opened(tmp_path, api_key_enabled=False) as service:
        assert (await service.create()).status_code == 200
        refused = await service.create(callback_url="https://example.com/cb")
        assert "callback_url" in error_of(refused)[2]


async def _other_key(service: Service, plan: str) -> str:
    keys = service.tasks.deliverer._secrets  # noqa: SLF001 - the service's keys
    created = await keys.create("other", ADMIN, plan)  # type: ignore[attr-defined] # they are ApiKeys
    return str(created.key)


async def test_parts_go_straight_to_a_bucket(tmp_path: Path, s3_server: S3Server) -> None:
    """With S3 each part has an address of the storage's own; what is joined there is media like any other."""
    data = picture(PORTRAIT).read_bytes() + os.urandom(PART_BYTES)
    place = s3_place(s3_server)
    async with opened(
        tmp_path,
        runs=True,
        s3_bucket=place.bucket,
        s3_endpoint=place.endpoint,
        s3_access_key_id=place.access_key_id,
        s3_secret_access_key=place.secret_access_key,
    ) as service:
        client = service.client
        upload = (await client.post("/v1/uploads", json={"filename": "a", "size": len(data)})).json()
        async with httpx.AsyncClient() as anybody:
            for number, url in enumerate(upload["parts"]["urls"]):
                assert url.startswith(s3_server.endpoint)
                part = data[number * PART_BYTES : (number + 1) * PART_BYTES]
                early = await client.post(f"/v1/uploads/{upload['upload_id']}/complete")
                assert error_of(early)[:2] == (409, "conflict")
                assert (await anybody.put(url, content=part)).status_code == 200
        for _ in range(2):
            done = await client.post(f"/v1/uploads/{upload['upload_id']}/complete")
            assert done.json()["status"] == "complete"
        task_id = (await service.create(media_url=upload["media_url"])).json()["task_id"]

        async def is_done() -> bool:
            status: str = (await client.get(f"/v1/task/{task_id}")).json()["status"]
            assert status != "failed"
            return status == "succeeded"

        await until(is_done)
        assert service.engine.seen == [data]
        await client.delete(f"/v1/task/{task_id}")
        assert (await client.get(f"/v1/uploads/{upload['upload_id']}")).status_code == 404
