"""`facefleet drain` for real: a node and then the whole service go out of work, and nothing is lost."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from app.settings import Settings
from cluster.bench.videos import walk_through
from cluster.nodes import add_node, processes_of
from cluster.trial import Trial, trial_service
from tests.deployments.crowd import crowd
from tests.deployments.task_client import TaskClient
from tests.fakes.file_server import FileServer, serve_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECOND = "second"
ONE = {"min_replicas": 1, "max_replicas": 1, "num_cpus": 0.1}
SHAPE: dict[str, Any] = {
    "ingress": {**ONE, "max_per_node": 2},
    "tasks": {**ONE, "max_per_node": 1},
    "chunks": {"num_cpus": 0.1, "work_s": 0.3, "at_once": 1},
    "attribute_networks": [],
    "embedding_network": None,
}
SECONDS, RATE, TASKS = 10, 10, 2
#: Between pieces of 64 KiB: media that come so slowly keep runners busy for minutes.
SLOWLY_S = 20
#: What has no place elsewhere, as the runner of the node that goes, is waited for until 30 s before this.
WITHIN_S = 35
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("draining")]


@pytest.fixture(scope="module")
def media(group_photo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """Serve a walk through a photo as a video."""
    video = tmp_path_factory.mktemp("media") / "walk.mp4"
    with serve_files() as server:
        server.files["/walk.mp4"] = walk_through(group_photo_path.read_bytes(), video, SECONDS).read_bytes()
        yield server


@pytest.fixture(scope="module")
def service(weights_folder: Path) -> Iterator[Trial]:
    """Run a service on two nodes, the edge on the first; its tests come in this order."""
    variables = {"FACE_API_FETCH_ALLOW": "127.0.0.1", "FACE_API_STORAGE_ENABLED": "false"}
    with trial_service(SHAPE, variables, weights=weights_folder, proxy_location="HeadOnly") as started:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in started.variables.items():
                patch.setenv(name, value)
            add_node(Settings(home=started.home), SECOND, cpus=4)
        ran = started.facefleet("scale", "ingress=3", "tasks=2")
        assert ran.returncode == 0, ran.stderr
        yield started


def holders(service: Trial) -> list[int]:
    """Return the processes that have tasks in work, by the database."""
    with sqlite3.connect(f"file:{service.home / 'facefleet.db'}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT runner FROM tasks WHERE status = 'running'").fetchall()
    return [int(runner.split(":")[1]) for (runner,) in rows]


def replicas_on(service: Trial, name: str) -> set[str]:
    """Return which deployments have replicas on a node."""
    found = set()
    for process in processes_of(str(service.home), name):
        title = " ".join(process.cmdline())
        if "ServeReplica:facefleet:" in title:
            found.add(title.partition("ServeReplica:facefleet:")[2].split()[0].partition(".")[0])
    return found


def several(client: TaskClient, media: FileServer) -> list[str]:
    """Have tasks, and wait until there is work on them, which does not end before the media come quickly."""
    media.pause_s = SLOWLY_S
    walk = {"type": "video", "media_url": f"{media.url}/walk.mp4", "sample_rate": RATE}
    tasks = [client.create(**walk) for _ in range(TASKS)]
    for task in tasks:
        client.until_begun(task, progress=-1.0)
    return tasks


def all_end_well(client: TaskClient, tasks: list[str], media: FileServer) -> None:
    """See that each task succeeds once its media come, with every frame once."""
    media.pause_s = 0.0
    for task in tasks:
        ended = client.wait(task)
        assert ended["status"] == "succeeded", ended
        times = [frame["timestamp"] for frame in ended["result"]["frames"]]
        assert times == [pytest.approx(index / RATE) for index in range(SECONDS * RATE)]


def test_the_whole_goes_and_comes_back(service: Trial, media: FileServer, group_photo_path: Path) -> None:
    """It says that it is empty when it is: tasks wait in the queue, new work is refused, reading is not."""
    client, picture = TaskClient(service), group_photo_path.read_bytes()
    tasks = several(client, media)
    ran = service.facefleet("drain")
    assert ran.returncode == 0, ran.stderr
    assert {client.get(task)["status"] for task in tasks} == {"queued"}
    health = httpx.get(f"{service.url}/health", trust_env=False)
    assert health.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert "taken out of work" in health.json()["detail"]
    key = {"X-API-Key": service.key}
    refused = httpx.post(
        f"{service.url}/api/v1/detect", headers=key, files={"image": picture}, timeout=30, trust_env=False
    )
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    ran = service.facefleet("drain", "--undo")
    assert ran.returncode == 0, ran.stderr
    all_end_well(client, tasks, media)


def test_a_node_goes_and_no_request_is_lost(
    service: Trial, media: FileServer, group_photo_path: Path
) -> None:
    """Under load every request is answered, and whoever has a task afterwards lives."""
    assert {"ingress", "tasks"} <= replicas_on(service, SECOND)
    client = TaskClient(service)
    tasks = several(client, media)
    with crowd(service, group_photo_path.read_bytes(), clients=2) as seen:
        ran = service.facefleet("drain", SECOND, "--within", str(WITHIN_S))
        assert ran.returncode == 0, ran.stderr
        assert "is empty and gone" in ran.stdout
    assert seen.errors == []
    assert seen.statuses() == {httpx.codes.OK}
    assert replicas_on(service, SECOND) == set()
    assert all(psutil.pid_exists(pid) for pid in holders(service))
    all_end_well(client, tasks, media)
