"""Everybody's tasks, as administrators see and end them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.admin.task_media import read_range
from app.admin.task_schemas import without_query
from app.api import create_app
from app.tasks.image_work import ImagePipeline
from app.tasks.opening import open_tasks
from app.tasks.values import TaskType
from tests.app.admin.conftest import ADMIN, BASIC, embedded
from tests.app.conftest import client_of
from tests.app.records.requests import until
from tests.fakes.receiver import Receiver, webhook_receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from app.services import Services
    from app.settings import Settings
    from tests.fakes.engine import FakeEngine

NOWHERE = "https://example.com/a.jpg?signature=secret"
UNKNOWN = "task_" + "0" * 32


@pytest.fixture
def settings(tmp_path: Path, key: str) -> Settings:
    """Return settings of a service in a folder that may tell receivers on this machine."""
    return embedded(tmp_path, key, fetch_allow=("127.0.0.1",))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run a client's server that hears webhooks."""
    with webhook_receiver() as running:
        yield running


@asynccontextmanager
async def clients(
    services: Services, key: str, engine: FakeEngine | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Open the app with tasks, run here where there is an engine; give an administrator and a client."""
    pipelines = None if engine is None else {TaskType.IMAGE: ImagePipeline(engine)}
    async with open_tasks(services, pipelines) as tasks:
        app = create_app(services, tasks=tasks)
        async with client_of(app) as admin, client_of(app, key) as client:
            admin.auth = httpx.BasicAuth(*BASIC)
            yield admin, client


async def make(client: httpx.AsyncClient, **fields: Any) -> str:  # noqa: ANN401 - a task's fields
    """Make a task and return its id."""
    body = {"type": "image", "media_url": NOWHERE, **fields}
    answer = await client.post("/v1/create-detection-task", json=body)
    assert answer.status_code == 200, answer.text
    task_id: str = answer.json()["task_id"]
    return task_id


async def test_tasks_of_all_owners_are_listed(services: Services, key: str) -> None:
    """Newest first, in pages, filtered by state, type and key; what may open a door is left out."""
    async with clients(services, key) as (admin, client):
        other = (await admin.post(f"{ADMIN}/api-keys", json={"name": "other"})).json()
        ids = [await make(client), await make(client, type="video")]
        client.headers["X-API-Key"] = other["key"]
        ids.append(await make(client))
        first = (await admin.get(f"{ADMIN}/tasks", params={"limit": 2})).json()
        assert [each["task_id"] for each in first["items"]] == [ids[2], ids[1]]
        rest = (await admin.get(f"{ADMIN}/tasks", params={"before": first["next_before"]})).json()
        assert [each["task_id"] for each in rest["items"]] == [ids[0]]
        assert rest["next_before"] is None
        for choice, expected in (
            ({"type": "video"}, [ids[1]]),
            ({"api_key_id": other["id"]}, [ids[2]]),
            ({"status": "failed"}, []),
        ):
            found = (await admin.get(f"{ADMIN}/tasks", params=choice)).json()["items"]
            assert [each["task_id"] for each in found] == expected
        assert "secret" not in str(first)
        assert first["items"][0]["media_url"] == "https://example.com/a.jpg?…"


async def test_a_task_is_cancelled_and_deleted(services: Services, key: str) -> None:
    """Both are an administrator's right, are written down, and hold for the owner."""
    async with clients(services, key) as (admin, client):
        task_id = await make(client)
        assert (await admin.post(f"{ADMIN}/tasks/{task_id}/cancel")).status_code == 204
        assert (await admin.post(f"{ADMIN}/tasks/{task_id}/cancel")).status_code == 409
        assert (await client.get(f"/v1/task/{task_id}")).json()["status"] == "cancelled"
        assert (await admin.get(f"{ADMIN}/tasks/{task_id}/result")).json()["result"] is None
        assert (await admin.delete(f"{ADMIN}/tasks/{task_id}")).status_code == 204
        assert (await client.get(f"/v1/task/{task_id}")).status_code == 404
        entries = (await admin.get(f"{ADMIN}/audit")).json()["items"]
        assert [(each["action"], each["subject"]) for each in entries[:2]] == [
            ("task.delete", task_id),
            ("task.cancel", task_id),
        ]


async def test_a_webhook_is_seen_and_sent_again(
    services: Services, key: str, engine: FakeEngine, receiver: Receiver, group_photo_path: Path
) -> None:
    """Each try is told with what came of it; sent again, it has the id that it had."""
    receiver.statuses = [500]
    async with clients(services, key, engine) as (admin, client):
        upload = await send(client, group_photo_path)
        task_id = await make(client, media_url=upload, callback_url=receiver.url)

        async def delivery() -> dict[str, Any]:
            found = (await admin.get(f"{ADMIN}/tasks/{task_id}")).json()["deliveries"]
            return found[0] if found else {"attempts": [], "state": ""}

        async def tried() -> bool:
            return len((await delivery())["attempts"]) == 1

        await until(tried)
        failed = await delivery()
        assert (failed["state"], failed["attempts"][0]["status"]) == ("pending", 500)
        assert failed["next_try_at"] is not None
        assert (await admin.post(f"{ADMIN}/deliveries/{failed['id']}/replay")).status_code == 204

        async def arrived() -> bool:
            return bool((await delivery())["state"] == "delivered")

        await until(arrived)
        first, second = receiver.heard
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        result = (await admin.get(f"{ADMIN}/tasks/{task_id}/result")).json()["result"]
        assert len(result["frames"][0]["faces"]) == 2


async def send(client: httpx.AsyncClient, file: Path, piece: int | None = None) -> str:
    """Upload a file and return its address."""
    data = file.read_bytes()  # noqa: ASYNC240 - a small file of the test's
    upload = (await client.post("/v1/uploads", json={"filename": file.name, "size": len(data)})).json()
    size = piece or upload["parts"]["size"]
    for number, url in enumerate(upload["parts"]["urls"]):
        await client.put(url, content=data[number * size :][:size])
    assert (await client.post(f"/v1/uploads/{upload['upload_id']}/complete")).status_code == 200
    address: str = upload["media_url"]
    return address


async def test_any_stretch_of_uploaded_media(services: Services, key: str, tmp_path: Path) -> None:
    """A player gets the bytes that it asks for, over the borders of parts; nothing is run by a browser."""
    file = tmp_path / "film.mp4"
    data = bytes(range(256)) * 40_000
    file.write_bytes(data)
    async with clients(services, key) as (admin, client):
        task_id = await make(client, type="video", media_url=await send(client, file))
        url = f"{ADMIN}/tasks/{task_id}/media"
        whole = await admin.get(url)
        assert whole.status_code == 200
        assert whole.content == data
        assert whole.headers["content-type"] == "video/mp4"
        assert "sandbox" in whole.headers["content-security-policy"]
        border = 8 * 1024 * 1024
        for first, last in ((0, 0), (5, 99), (border - 3, border + 3), (len(data) - 1, len(data) - 1)):
            part = await admin.get(url, headers={"Range": f"bytes={first}-{last}"})
            assert part.status_code == 206
            assert part.content == data[first : last + 1]
            assert part.headers["content-range"] == f"bytes {first}-{last}/{len(data)}"
        assert (await admin.get(url, headers={"Range": "bytes=-7"})).content == data[-7:]
        refused = await admin.get(url, headers={"Range": f"bytes={len(data)}-"})
        assert refused.status_code == 416
        assert refused.headers["content-range"] == f"bytes */{len(data)}"


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 40))
def test_ranges_are_within_the_file(first: int, last: int, size: int) -> None:
    """Whatever is asked for, no byte outside the file is promised."""
    found = read_range(f"bytes={first}-{last}", size)
    assert found is not None
    assert 0 <= found[0] <= found[1] <= size
    expected = range(size)[first : last + 1]
    assert list(range(*found)) == list(expected)
    for senseless in (None, "", "bytes=-", "items=0-1", "bytes=0-1,3-4", "bytes=x-y"):
        assert read_range(senseless, size) is None


async def test_media_elsewhere_is_not_fetched(services: Services, key: str) -> None:
    """The administrator's page makes this service load nothing from strangers."""
    async with clients(services, key) as (admin, client):
        task_id = await make(client)
        assert (await admin.get(f"{ADMIN}/tasks/{task_id}/media")).status_code == 404


async def test_unknown_tasks_and_services_without_any(services: Services, key: str) -> None:
    """What is not there is a 404; where there are no tasks at all it is a 501, and the list is empty."""
    async with clients(services, key) as (admin, _):
        for method, path in (
            ("GET", f"tasks/{UNKNOWN}"),
            ("GET", "tasks/none"),
            ("GET", "tasks?before=none"),
            ("GET", f"tasks/{UNKNOWN}/result"),
            ("GET", f"tasks/{UNKNOWN}/media"),
            ("POST", f"tasks/{UNKNOWN}/cancel"),
            ("DELETE", f"tasks/{UNKNOWN}"),
            ("POST", "deliveries/none/replay"),
            ("POST", "deliveries/00000000-0000-7000-8000-000000000000/replay"),
        ):
            assert (await admin.request(method, f"{ADMIN}/{path}")).status_code == 404, path
    async with client_of(create_app(services)) as admin:
        admin.auth = httpx.BasicAuth(*BASIC)
        assert (await admin.get(f"{ADMIN}/tasks")).json()["items"] == []
        assert (await admin.get(f"{ADMIN}/tasks/{UNKNOWN}")).status_code == 501


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@host.example:8443/a/b.mp4?sig=secret#x", "https://host.example:8443/a/b.mp4?…"),
        ("upload://up_1", "upload://up_1"),
        ("s3://bucket/key.mp4", "s3://bucket/key.mp4"),
        ("http://[broken", "?"),
    ],
)
def test_addresses_lose_what_opens_doors(url: str, shown: str) -> None:
    """Names, passwords and signatures are not shown."""
    assert without_query(url) == shown
