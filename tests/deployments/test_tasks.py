"""Tasks on Ray: what is found in videos and animations, and that nothing is lost whoever is killed."""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
from PIL import Image

from cluster.bench.videos import WALK_FRAMES_PER_S, WALK_SIZE, walk_through
from cluster.trial import Trial, trial_service
from tests.deployments.scraping import PICTURES, QUICKLY, TASKS, scrape, total
from tests.deployments.task_client import TaskClient
from tests.fakes.file_server import FileServer, serve_files
from tests.fakes.receiver import Receiver, webhook_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.serve, pytest.mark.xdist_group("tasks")]

ATTRIBUTES = ["age", "gender", "emotion", "pose", "glasses", "mask", "quality", "landmarks"]
EMOTIONS = {"neutral", "happy", "sad", "angry", "surprised", "disgusted", "fearful"}
SECONDS = 40
#: Chunks of a few seconds of the video: there are some to lose.
SMALL_CHUNKS = {"chunks": {"num_cpus": 0.1, "work_s": 1.0, "at_once": 4}}
WORKER, AT_REST = "ray::ChunkWorker.analyse", "ray::ChunkWorker"


@pytest.fixture(scope="module")
def media(group_photo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """Serve a photo of six, a walk through it as a video, and a few pictures of it that move."""
    folder = tmp_path_factory.mktemp("media")
    with serve_files() as server:
        server.files["/group.jpg"] = group_photo_path.read_bytes()
        video = walk_through(group_photo_path.read_bytes(), folder / "walk.mp4", SECONDS)
        server.files["/walk.mp4"] = video.read_bytes()
        server.files["/text.mp4"] = b"I am a video"
        with Image.open(group_photo_path) as photo:
            pictures = [photo.resize((640, 443)).rotate(turn) for turn in (0, 4, 8, 12)]
        for kind in ("gif", "png"):
            out = io.BytesIO()
            pictures[0].save(out, kind, save_all=True, append_images=pictures[1:], duration=500)
            server.files[f"/moving.{kind}"] = out.getvalue()
        yield server


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """Hear webhooks."""
    with webhook_receiver() as hearing:
        yield hearing


@pytest.fixture(scope="module")
def service(weights_folder: Path) -> Iterator[Trial]:
    """Run a service whose tests come in this order; the last one kills it whole."""
    variables = {"FACE_API_FETCH_ALLOW": "127.0.0.1", **QUICKLY}
    with trial_service(SMALL_CHUNKS, variables, weights=weights_folder) as started:
        yield started


@pytest.fixture(scope="module")
def client(service: Trial) -> TaskClient:
    """Speak to it."""
    return TaskClient(service)


@pytest.fixture(scope="module")
def undisturbed(client: TaskClient, media: FileServer) -> dict[str, Any]:
    """Return what the walk's task finds when nothing happens."""
    task = client.wait(client.create(**_walk(media)))
    assert task["status"] == "succeeded", task
    return dict(task["result"])


def _walk(media: FileServer, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"type": "video", "media_url": f"{media.url}/walk.mp4", "sample_rate": 10, **fields}


def workers(service: Trial, title: str = WORKER) -> list[psutil.Process]:
    """Return the processes that analyse a chunk at this moment, or those of another title."""
    found = []
    for process in service.processes():
        try:
            if title in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def scratch_folders(service: Trial) -> list[Path]:
    """Return the folders in which media of tasks lie."""
    return [path for path in (service.home / "scratch").glob("*/*/") if path.is_dir()]


def test_a_video_shows_each_sample_once(undisturbed: dict[str, Any], client: TaskClient) -> None:
    """Frames come at the rate that was asked for, and faces keep their track."""
    times = [frame["timestamp"] for frame in undisturbed["frames"]]
    assert times == [pytest.approx(index / WALK_FRAMES_PER_S) for index in range(SECONDS * WALK_FRAMES_PER_S)]
    faces = [face for frame in undisturbed["frames"] for face in frame["faces"]]
    assert len(faces) > 3 * len(times)
    assert len({face["face_id"] for face in faces}) == len(faces)
    for face in faces:
        x, y, width, height = face["bbox"]
        assert 0 <= x < x + width <= WALK_SIZE[0]
        assert 0 <= y < y + height <= WALK_SIZE[1]
        assert min(width, height) >= 39
    tracks = undisturbed["face_tracks"]
    assert {track["track_id"] for track in tracks} == {face["track_id"] for face in faces}
    assert all(track["appears_at"] <= track["disappears_at"] for track in tracks)
    assert 6 <= len(tracks) <= 24
    assert undisturbed["summary"]["total_faces"] == len(tracks)
    (listed,) = client.ask("GET", "/v1/tasks?limit=1").json()["tasks"]
    assert listed["media"] == {**listed["media"], "width": 640, "height": 360, "duration": float(SECONDS)}


@pytest.mark.parametrize("kind", ["video", "image"])
def test_every_attribute_has_its_published_shape(client: TaskClient, media: FileServer, kind: str) -> None:
    """Each face of a group tells all eight, in the types that the documents show."""
    fields: dict[str, Any] = {"type": "image", "media_url": f"{media.url}/group.jpg"}
    if kind == "video":
        fields = _walk(media, sample_rate=2, start_time=3, end_time=5)
    task = client.wait(client.create(**fields, attributes=ATTRIBUTES))
    assert task["status"] == "succeeded", task
    faces = [face for frame in task["result"]["frames"] for face in frame["faces"]]
    assert len(faces) >= 6
    for face in faces:
        told = face["attributes"]
        assert set(ATTRIBUTES) - {"gender"} <= set(told) <= set(ATTRIBUTES)
        assert isinstance(told["age"], int)
        assert 0 <= told["age"] <= 100
        assert told.get("gender", "male") in {"male", "female"}
        assert told["emotion"] in EMOTIONS
        assert set(told["pose"]) == {"yaw", "pitch", "roll"}
        assert all(abs(angle) < 90 for angle in told["pose"].values())
        assert told["glasses"] in {True, False}
        assert told["mask"] is False
        assert 0 <= told["quality"] <= 1
        assert len(told["landmarks"]) == 106
        x, y, width, height = face["bbox"]
        for point in told["landmarks"]:
            assert all(isinstance(value, int) for value in point)
            assert x - width < point[0] < x + 2 * width
            assert y - height < point[1] < y + 2 * height


@pytest.mark.parametrize("name", ["moving.gif", "moving.png"])
def test_animations_by_their_own_delays(client: TaskClient, media: FileServer, name: str) -> None:
    """Four pictures of half a second each are four samples at two a second."""
    task = client.wait(client.create(type="gif", media_url=f"{media.url}/{name}"))
    assert task["status"] == "succeeded", task
    assert task["media"]["duration"] == 2.0
    assert [frame["timestamp"] for frame in task["result"]["frames"]] == [0.0, 0.5, 1.0, 1.5]
    assert task["result"]["summary"]["total_faces"] >= 6


def test_what_is_no_video_fails_in_words(client: TaskClient, media: FileServer) -> None:
    """The reason is told as the published code, under a request id of door two's form."""
    answer = client.ask(
        "POST", "/v1/create-detection-task", {"type": "video", "media_url": f"{media.url}/text.mp4"}
    )
    assert answer.json()["request_id"].startswith("req_")
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    task = client.wait(answer.json()["task_id"])
    assert (task["status"], task["error"]["code"]) == ("failed", "invalid_media")


def test_workers_that_are_killed(
    service: Trial, client: TaskClient, media: FileServer, undisturbed: dict[str, Any]
) -> None:
    """Two workers die in the middle of a video: its result is that of an undisturbed run."""
    task_id = client.create(**_walk(media))
    for progress in (0.1, 0.4):
        client.until_begun(task_id, progress)
        _kill_one(service)
    task = client.wait(task_id)
    assert task["status"] == "succeeded", task
    assert task["result"] == undisturbed


def _kill_one(service: Trial) -> None:
    deadline = time.monotonic() + 20
    while not (found := workers(service)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    found[0].kill()


def test_media_that_kill_whoever_analyses_them(service: Trial, client: TaskClient, media: FileServer) -> None:
    """After three dead workers a task is given up, with the reason; others are none the worse."""
    task_id = client.create(**_walk(media, end_time=2))
    deadline = time.monotonic() + 60
    while client.get(task_id)["status"] in {"queued", "running"}:
        assert time.monotonic() < deadline
        for worker in workers(service):
            worker.kill()
        time.sleep(0.02)
    task = client.get(task_id)
    assert (task["status"], task["error"]["code"]) == ("failed", "internal_error")
    assert "3 times" in task["error"]["message"]
    after = client.wait(client.create(**_walk(media, end_time=2)))
    assert after["status"] == "succeeded", after


def test_workers_that_die_at_rest(service: Trial, client: TaskClient, media: FileServer) -> None:
    """As many as a task may lose, and one more, die between two tasks: nobody notices."""
    assert client.wait(client.create(**_walk(media)))["status"] == "succeeded"
    resting = workers(service, AT_REST)
    assert len(resting) == 4
    for worker in resting:
        worker.kill()
    after = client.wait(client.create(**_walk(media, end_time=1)))
    assert after["status"] == "succeeded", after


def test_a_running_task_is_cancelled(
    service: Trial, client: TaskClient, media: FileServer, receiver: Receiver
) -> None:
    """Its workers stop, its media go, its callback hears of it, all within five seconds."""
    before = len(receiver.heard)
    task_id = client.create(**_walk(media, callback_url=receiver.url))
    client.until_begun(task_id)
    asked = time.monotonic()
    answer = client.ask("POST", f"/v1/task/{task_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    while workers(service) or scratch_folders(service):
        assert time.monotonic() < asked + 5, (workers(service), scratch_folders(service))
        time.sleep(0.05)
    heard = receiver.wait_for(before + 1, 5)[-1]
    assert heard.headers["x-facemint-event"] == "task.cancelled"
    assert json.loads(heard.body)["task_id"] == task_id


def test_operators_see_what_happened(service: Trial, group_photo_path: Path) -> None:
    """Prometheus reads every figure of requests, tasks, workers and webhooks, none with a word of callers."""
    files = {"image": group_photo_path.read_bytes()}
    answer = httpx.post(
        f"{service.url}/api/v1/mask", headers={"X-API-Key": service.key}, files=files, trust_env=False
    )
    assert answer.status_code == 200, answer.text
    samples = scrape(service, PICTURES | TASKS)
    assert total(samples, "ray_facefleet_requests_total", kind="mask", status="200") == 1
    assert total(samples, "ray_facefleet_stage_seconds_count_total", stage="mask", deployment="ingress") == 1
    assert total(samples, "ray_facefleet_stage_seconds_bucket_total", stage="mask", le="+Inf") >= 1
    assert total(samples, "ray_facefleet_workers_died_total") >= 5
    assert total(samples, "ray_facefleet_leases_lost_total") >= 1
    assert total(samples, "ray_facefleet_frames_total", deployment="worker") > SECONDS * WALK_FRAMES_PER_S
    assert total(samples, "ray_facefleet_tasks_ended_total", type="video", status="succeeded") >= 4
    labels = {name for values in samples.values() for has, _ in values for name in has}
    assert labels & {"owner", "key", "task", "task_id", "url", "library_id"} == set()


@pytest.mark.parametrize("kind", ["tasks", "ingress"])
def test_replicas_that_are_killed(
    service: Trial,
    client: TaskClient,
    media: FileServer,
    receiver: Receiver,
    undisturbed: dict[str, Any],
    kind: str,
) -> None:
    """The runner or all ingress replicas die: the task goes on, ends once, and is told under one id."""
    before = len(receiver.heard)
    task_id = client.create(**_walk(media, callback_url=receiver.url))
    client.until_begun(task_id, 0.2)
    for replica in service.replicas(kind):
        replica.kill()
    _ends_as(undisturbed, client, task_id, receiver, before)
    assert scratch_folders(service) == []


def test_everything_is_killed(
    service: Trial, client: TaskClient, media: FileServer, receiver: Receiver, undisturbed: dict[str, Any]
) -> None:
    """All of Ray dies in the middle of a video; the next start ends it as if nothing had been."""
    before = len(receiver.heard)
    task_id = client.create(**_walk(media, callback_url=receiver.url))
    client.until_begun(task_id, 0.2)
    for process in service.processes():
        process.kill()
    up = service.facefleet("up")
    assert up.returncode == 0, up.stderr
    _ends_as(undisturbed, client, task_id, receiver, before)
    assert scratch_folders(service) == []


def _ends_as(
    undisturbed: dict[str, Any], client: TaskClient, task_id: str, receiver: Receiver, before: int
) -> None:
    task = client.wait(task_id)
    assert task["status"] == "succeeded", task
    assert task["result"] == undisturbed
    receiver.wait_for(before + 1, 15)
    told = [heard for heard in receiver.heard[before:] if json.loads(heard.body)["task_id"] == task_id]
    assert told
    assert len({heard.headers["webhook-id"] for heard in told}) == 1
