"""One id through all processes: an operator greps it and sees everything that was done for a request."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.settings import Settings
from cluster.bench.videos import walk_through
from cluster.environment import place_of
from cluster.trial import Trial, trial_service
from tests.deployments.task_client import TaskClient
from tests.fakes.file_server import FileServer, serve_files
from tests.fakes.receiver import webhook_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.serve, pytest.mark.xdist_group("request ids")]

SHAPE: dict[str, Any] = {
    "placement": {"decode": "stage", "detector": "pool", "attributes": "pool"},
    "embedding_network": None,
}
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
#: Lines reach their files a little after they were written.
PATIENCE_S = 15


@pytest.fixture(scope="module")
def media(group_photo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """Serve a short walk through a photo."""
    video = tmp_path_factory.mktemp("media") / "walk.mp4"
    with serve_files() as server:
        server.files["/walk.mp4"] = walk_through(group_photo_path.read_bytes(), video, 2).read_bytes()
        yield server


@pytest.fixture(scope="module")
def service(weights_folder: Path) -> Iterator[Trial]:
    """Run a service whose stages are all in processes of their own."""
    variables = {"FACE_API_FETCH_ALLOW": "127.0.0.1"}
    with trial_service(SHAPE, variables, weights=weights_folder) as started:
        yield started


def lines_of(service: Trial, request_id: str) -> list[dict[str, Any]]:
    """Return what the service wrote for a request, as `grep` would find it."""
    logs = place_of(Settings(home=service.home)).ray / "session_latest" / "logs"
    found = []
    for file in logs.rglob("*"):
        if file.is_file() and file.suffix in {".out", ".err", ".log"}:
            lines = file.read_text(errors="replace").splitlines()
            # Serve puts its own words before what its replicas print.
            found += [
                json.loads(each[each.index("{") :]) for each in lines if request_id in each and "{" in each
            ]
    return found


def until_written(service: Trial, request_id: str, events: set[str]) -> list[dict[str, Any]]:
    """Return the lines once all of these events are among them."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        lines = lines_of(service, request_id)
        missing = events - {line["event"] for line in lines}
        if not missing:
            return lines
        assert time.monotonic() < deadline, missing
        time.sleep(0.5)


def test_a_task_goes_by_one_id_everywhere(service: Trial, media: FileServer) -> None:
    """Ingress, runner, worker of chunks, pools and the webhook tell of it under the caller's id."""
    with webhook_receiver() as receiver:
        answer = httpx.post(
            f"{service.url}/v1/create-detection-task",
            headers={"X-API-Key": service.key, "X-Request-Id": "order-4711", "traceparent": TRACEPARENT},
            json={
                "type": "video",
                "media_url": f"{media.url}/walk.mp4",
                "attributes": ["age"],
                "callback_url": f"{receiver.url}/hook",
            },
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["request_id"] == "order-4711"
        task = TaskClient(service).wait(answer.json()["task_id"])
        assert task["status"] == "succeeded", task
        (heard,) = receiver.wait_for(1)
    assert heard.headers["x-request-id"] == "order-4711"
    wanted = {"request", "task taken up", "chunk done", "batch", "task ended", "webhook"}
    lines = until_written(service, "order-4711", wanted)
    assert {line["pool"] for line in lines if line["event"] == "batch"} == {"detector", "attributes"}
    assert all(line["request_ids"] == ["order-4711"] for line in lines if line["event"] == "batch")
    assert all(line["request_id"] == "order-4711" for line in lines if line["event"] != "batch")
    (request,) = [line for line in lines if line["event"] == "request"]
    assert request["trace_id"] == TRACE_ID


def test_a_picture_goes_by_the_id_of_its_trace(service: Trial, group_photo_path: Path) -> None:
    """Who sends W3C's `traceparent` and no other id finds the request under the trace's."""
    answer = httpx.post(
        f"{service.url}/api/v1/detect",
        headers={"X-API-Key": service.key, "traceparent": TRACEPARENT},
        files={"image": group_photo_path.read_bytes()},
        timeout=60,
        trust_env=False,
    )
    assert answer.headers["x-request-id"] == TRACE_ID
    lines = until_written(service, TRACE_ID, {"request", "picture", "batch"})
    assert "trace_id" not in next(line for line in lines if line.get("request_id") == TRACE_ID)
