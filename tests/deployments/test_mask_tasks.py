"""Mask tasks on Ray: real faces in a real video, one task a chunk, and a worker that is killed on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from cluster.bench.videos import WALK_FRAMES_PER_S, walk_through
from cluster.trial import Trial, trial_service
from tests.deployments.task_client import TaskClient
from tests.deployments.test_tasks import SMALL_CHUNKS, workers
from tests.fakes.file_server import FileServer, serve_files
from tests.pipelines.redact.redacting import pictures, times

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.serve, pytest.mark.xdist_group("mask tasks")]

SECONDS = 8


@pytest.fixture(scope="module")
def media(group_photo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """Serve a walk through a photo of six as a video."""
    folder = tmp_path_factory.mktemp("media")
    with serve_files() as server:
        photo = group_photo_path.read_bytes()
        server.files["/walk.mp4"] = walk_through(photo, folder / "walk.mp4", SECONDS).read_bytes()
        server.files["/group.jpg"] = photo
        yield server


@pytest.fixture(scope="module")
def service(weights_folder: Path) -> Iterator[Trial]:
    """Run a service."""
    variables = {"FACE_API_FETCH_ALLOW": "127.0.0.1"}
    with trial_service(SMALL_CHUNKS, variables, weights=weights_folder) as started:
        yield started


def masked(
    service: Trial, client: TaskClient, body: dict[str, str], *, killing: bool = False
) -> dict[str, object]:
    """Have media masked, and return the task; where asked, kill a worker on the way."""
    made = client.ask("POST", "/v1/create-mask-task", body)
    assert made.status_code == 200, made.text
    task_id = made.json()["task_id"]
    if killing:
        client.until_begun(task_id, progress=0.1)
        for process in workers(service)[:1]:
            _kill(process)
    task = client.wait(task_id)
    assert task["status"] == "succeeded", task
    return task


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.Error:
        return


def test_six_people_are_masked(service: Trial, media: FileServer, tmp_path: Path) -> None:
    """Nobody is found in the masked film; its frames are the source's, though a worker was killed."""
    client = TaskClient(service)
    url = f"{media.url}/walk.mp4"
    task = masked(service, client, {"type": "video", "media_url": url, "method": "solid"}, killing=True)
    result = task["result"]
    assert isinstance(result, dict)
    assert result["summary"]["frames"] == SECONDS * WALK_FRAMES_PER_S
    assert result["summary"]["masked_frames"] == SECONDS * WALK_FRAMES_PER_S
    answer = httpx.get(result["output"]["url"], trust_env=False)
    assert answer.headers["content-type"] == "video/mp4"
    film, source = tmp_path / "masked.mp4", tmp_path / "walk.mp4"
    film.write_bytes(answer.content)
    source.write_bytes(media.files["/walk.mp4"])
    assert times(film) == times(source)
    assert len(pictures(film)) == SECONDS * WALK_FRAMES_PER_S
    media.files["/masked.mp4"] = answer.content
    again = client.wait(
        client.create(
            type="video", media_url=f"{media.url}/masked.mp4", sample_rate=5, confidence_threshold=0.6
        )
    )
    assert again["status"] == "succeeded", again
    assert sum(len(frame["faces"]) for frame in again["result"]["frames"]) == 0


def test_a_picture_is_masked(service: Trial, media: FileServer) -> None:
    """A picture of six comes back with six regions hidden."""
    url = f"{media.url}/group.jpg"
    body = {"type": "image", "media_url": url, "method": "solid", "report": "frames"}
    result = masked(service, TaskClient(service), body)["result"]
    assert isinstance(result, dict)
    assert result["summary"]["total_faces"] >= 6
    assert result["output"]["content_type"] == "image/jpeg"
    assert httpx.get(result["output"]["url"], trust_env=False).status_code == 200
