"""Mask tasks over HTTP: every field with values that make no sense, and a film through to its address."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.app.tasks.disc_masking import disc
from tests.app.tasks.running_service import KEY, RunningService, running_service
from tests.fakes.file_server import FileServer, serve_files
from tests.pipelines.redact.redacting import times
from tests.pipelines.video.rendered import Recipe, every_frame, render, steady

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ODD: list[Any] = [True, "2", [], {}, 2.5, -1, 10**40]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Run door two as a process."""
    with running_service(tmp_path_factory.mktemp("home")) as started:
        yield started


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """Serve a film of a disc."""
    path = render(Recipe(steady(60, 30), gop=15), tmp_path_factory.mktemp("media") / "disc.mp4")
    with serve_files() as server:
        server.files["/disc.mp4"] = path.read_bytes()
        server.files["/text.mp4"] = b"I am a video"
        yield server


def ask(service: RunningService, method: str, path: str, body: object = None) -> httpx.Response:
    """Send a request."""
    return httpx.request(
        method, service.url + path, json=body, headers={"X-API-Key": KEY}, timeout=20, trust_env=False
    )


def create(service: RunningService, **fields: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    """Submit a mask task."""
    body = {"type": "video", "media_url": "https://example.com/a.mp4", **fields}
    return ask(service, "POST", "/v1/create-mask-task", body)


def ended(service: RunningService, task_id: str) -> dict[str, Any]:
    """Return a task once it has ended."""
    deadline = time.monotonic() + 40
    while (task := ask(service, "GET", f"/v1/task/{task_id}").json())["status"] in {"queued", "running"}:
        assert time.monotonic() < deadline, task
        time.sleep(0.1)
    return dict(task)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("type", ["", "VIDEO", None, *ODD]),
        ("method", ["blur", *ODD]),
        ("strength", [0, 10_001, 2.5, "2", True]),
        ("padding", [-0.1, 5.1, "1", True]),
        ("detect_every", [0, 11, *ODD[1:]]),
        ("container", ["avi", *ODD]),
        ("codec", ["av1", *ODD]),
        ("format", ["bmp", *ODD]),
        ("quality", [0, 101, "80", True]),
        ("report", ["all", *ODD]),
        ("confidence_threshold", [-0.1, 1.1, "x", True]),
        ("min_face_size", [-1, 10_001, "2", True]),
        ("end_time", [0, -1, "1"]),
        ("keep", [["anna"], "anna", [1]]),
        ("only", [["anna"], {}]),
    ],
)
def test_a_field_that_makes_no_sense_is_named(service: RunningService, name: str, values: list[Any]) -> None:
    """Each is refused with 400, and the message says which field it is."""
    for value in values:
        answer = create(service, **{name: value})
        assert answer.status_code == 400, (value, answer.text)
        assert answer.json()["error"]["code"] == "invalid_request"
        assert name in answer.text or "library_id" in answer.text


def test_recognition_is_refused_clearly(service: RunningService) -> None:
    """Who asks to keep a person hears that nobody is recognised, and gets no film in which all are masked."""
    for name in ("keep", "only"):
        answer = create(service, **{name: ["anna"]}, library_id="staff")
        assert answer.status_code == 400
        assert f"{name}: this service does not offer recognition" in answer.text


def test_a_film_is_masked(service: RunningService, media: FileServer, tmp_path: Path) -> None:
    """The answer leads to a film of the same frames without the disc; deleting the task removes it."""
    url = f"{media.url}/disc.mp4"
    made = create(service, media_url=url, method="solid", min_face_size=0, metadata={"a": 1})
    assert made.status_code == 200, made.text
    task = ended(service, made.json()["task_id"])
    assert task["status"] == "succeeded", task
    assert task["operation"] == "mask"
    result = task["result"]
    assert result["summary"]["frames"] == 60
    assert result["summary"]["total_faces"] >= 1
    assert result["face_tracks"][0].keys() == {"track_id", "person_id", "appears_at", "disappears_at"}
    assert result["frames"] == []
    output = result["output"]
    assert output["content_type"] == "video/mp4"
    answer = httpx.get(output["url"], trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "video/mp4"
    assert len(answer.content) == output["size"]
    masked, source = tmp_path / "masked.mp4", tmp_path / "disc.mp4"
    masked.write_bytes(answer.content)
    source.write_bytes(media.files["/disc.mp4"])
    assert times(masked) == times(source)
    assert not any(len(disc(frame.to_ndarray(format="bgr24"))) for _, frame in every_frame(masked))
    forged = output["url"][:-1] + ("1" if output["url"].endswith("0") else "0")
    assert httpx.get(forged, trust_env=False).status_code == 403
    assert ask(service, "DELETE", f"/v1/task/{task['task_id']}").status_code == 200
    assert httpx.get(output["url"], trust_env=False).status_code == 404


def test_both_kinds_are_listed(service: RunningService, media: FileServer) -> None:
    """Tasks of both kinds are in one list, and say which they are."""
    made = create(service, type="video", media_url=f"{media.url}/text.mp4").json()
    task = ended(service, made["task_id"])
    assert task["status"] == "failed"
    assert task["error"]["code"] == "invalid_media"
    listed = ask(service, "GET", "/v1/tasks").json()["tasks"]
    assert [each["operation"] for each in listed if each["task_id"] == made["task_id"]] == ["mask"]


def test_the_same_request_is_one_task(service: RunningService, media: FileServer) -> None:
    """A mask task that is sent twice under one key is made once."""
    body = {"type": "video", "media_url": f"{media.url}/disc.mp4"}
    headers = {"X-API-Key": KEY, "Idempotency-Key": "once"}
    first, second = (
        httpx.post(f"{service.url}/v1/create-mask-task", json=body, headers=headers, trust_env=False).json()
        for _ in range(2)
    )
    assert first["task_id"] == second["task_id"]


def test_without_storage_it_is_not_offered(tmp_path: Path) -> None:
    """Where nothing is kept there is no place for what would be made."""
    with running_service(tmp_path, FACE_API_STORAGE_ENABLED="false") as started:
        answer = create(started)
        assert answer.status_code == 501
        assert "storage" in answer.text
