"""The overview, the system and small pictures: what an administrator is told of the service itself."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from app.admin.thumbnails import SIDE_PX, thumbnail
from app.api import create_app
from app.fleet import DeploymentState, DeviceFacts, ModelFacts
from app.settings import Settings
from tests.app.admin.conftest import ADMIN, PASSWORD, PICTURE, log_in
from tests.app.conftest import client_of

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from app.services import Services


class SmallFleet:
    """One deployment that lacks a replica, and one network."""

    models = (ModelFacts("yunet", "detect", "MIT", "somebody", is_commercial=True),)
    devices = (DeviceFacts("Cluster", "1 machine"),)

    async def deployments(self) -> tuple[DeploymentState, ...]:
        """Tell the one."""
        return (DeploymentState("ingress", 1, 2, "UPDATING"),)


async def test_what_clients_ask_is_told(services: Services, admin: httpx.AsyncClient, key: str) -> None:
    """Requests, faces, refusals and times of the last hour are those that came; administrators' are none."""
    async with client_of(create_app(services), key) as client:
        for _ in range(3):
            await client.post("/api/v1/detect", files=PICTURE)
        await client.post("/api/v1/mask", files=PICTURE)
        await client.post("/api/v1/detect", params={"confidence": 7}, files=PICTURE)
    assert services.memory is not None
    await services.memory.traffic.write()
    for window, count in (("hour", 60), ("day", 96), ("week", 84)):
        told = (await admin.get(f"{ADMIN}/overview", params={"window": window})).json()
        stretches = told["stretches"]
        assert abs(len(stretches) - count) <= 1
        sums = {
            kind: sum(each["requests"][kind] for each in stretches) for kind in ("detect", "mask", "tasks")
        }
        assert sums == {"detect": 4, "mask": 1, "tasks": 0}
        assert sum(each["faces"] for each in stretches) == 8
        assert sum(each["refused"] for each in stretches) == 1
        assert 0 < told["latency_ms"]["p50"] <= told["latency_ms"]["p95"] <= told["latency_ms"]["p99"]
        assert told["tasks_now"] == {"queued": 0, "running": 0}


async def test_the_fleet_is_told(services: Services) -> None:
    """Replicas, networks with their licences and devices are those that the app was told of."""
    async with client_of(create_app(services, fleet=SmallFleet())) as admin:
        await log_in(admin)
        overview = (await admin.get(f"{ADMIN}/overview")).json()
        assert overview["deployments"] == [
            {"name": "ingress", "running": 1, "wanted": 2, "status": "UPDATING", "message": ""}
        ]
        system = (await admin.get(f"{ADMIN}/system")).json()
        assert system["models"][0]["licence"] == "MIT"
        assert system["devices"] == [{"name": "Cluster", "detail": "1 machine"}]
        for path in ("/", "/system"):
            page = await admin.get(path)
            assert page.status_code == 200
            assert "updating" in page.text


async def test_settings_are_told_without_secrets(
    services: Services, admin: httpx.AsyncClient, key: str
) -> None:
    """Every setting is listed; no password, key or secret is, wherever it was set."""
    answer = await admin.get(f"{ADMIN}/system")
    told = {each["variable"]: each for each in answer.json()["settings"]}
    assert set(told) == {f"FACE_API_{name.upper()}" for name in Settings.model_fields}
    assert told["FACE_API_ADMIN_PASSWORD"]["value"] == "set"
    assert told["FACE_API_PORT"] == {
        **told["FACE_API_PORT"],
        "value": str(services.settings.port),
        "is_default": True,
    }
    for secret in (PASSWORD, key, "testing"):
        assert secret not in answer.text.replace("testing.", "")
    state = answer.json()["database"]
    assert state["problem"] is None
    assert state["size_bytes"] > 0
    assert answer.json()["storage"]["problem"] is None


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "WEBP", "BMP"])
def test_small_pictures(suffix: str) -> None:
    """A picture of any kind is made small upright, and a small one is left as large as it is."""
    for size, expected in (((1600, 800), (SIDE_PX, SIDE_PX // 2)), ((90, 30), (90, 30))):
        large = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6  # lies on its side
        more = {"exif": exif} if suffix == "JPEG" else {}
        Image.new("RGB", size, (200, 30, 30)).save(large, suffix, **more)
        small = Image.open(io.BytesIO(thumbnail(large.getvalue())))
        assert small.format == "WEBP"
        assert small.size == (expected[::-1] if suffix == "JPEG" else expected)
        assert not small.getexif()


async def test_small_pictures_are_behind_the_same_door(
    admin: httpx.AsyncClient, services: Services, key: str, group_photo_path: Path
) -> None:
    """They are made of what is kept, kept by nobody, and gone with it."""
    async with client_of(create_app(services), key) as client:
        photo = group_photo_path.read_bytes()  # noqa: ASYNC240 - a small file of the test's
        answer = await client.post("/api/v1/detect", files={"image": photo})
    image_id, job_id = answer.json()["image_id"], answer.json()["job_id"]
    small = await admin.get(f"{ADMIN}/images/{image_id}/thumbnail")
    assert small.headers["content-type"] == "image/webp"
    assert small.headers["cache-control"] == "no-store"
    assert (await admin.get(f"{ADMIN}/jobs/{job_id}/thumbnail")).status_code == 404
    assert (await admin.delete(f"{ADMIN}/images/{image_id}")).status_code == 204
    assert (await admin.get(f"{ADMIN}/images/{image_id}/thumbnail")).status_code == 404


async def test_a_detection_to_look_at(admin: httpx.AsyncClient) -> None:
    """It is what a client would be answered, and nothing of it is kept."""
    answer = await admin.post(f"{ADMIN}/test/detect", params={"confidence": 0.3}, files=PICTURE)
    assert answer.status_code == 200
    assert answer.json()["summary"]["face_count"] == 2
    assert answer.json()["image_id"] is None
    assert (await admin.get(f"{ADMIN}/stats")).json()["total_images"] == 0
    refused = await admin.post(f"{ADMIN}/test/detect", params={"attributes": "beauty"}, files=PICTURE)
    assert refused.status_code == 422
