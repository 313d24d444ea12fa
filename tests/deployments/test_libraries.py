"""Recognition of a running service: real faces, two ingress replicas, networks inline and in a pool."""

from __future__ import annotations

import base64
import io
import time
import zipfile
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import httpx
import numpy as np
import pytest

from cluster.trial import Trial, trial_service
from tests.deployments.scraping import LIBRARIES, QUICKLY, scrape, total
from tests.fakes.file_server import FileServer, serve_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.video.stream import VideoStream

pytestmark = [pytest.mark.serve, pytest.mark.xdist_group("libraries")]

ONE = {"min_replicas": 1, "max_replicas": 1}
TWO = {"min_replicas": 2, "max_replicas": 2}
PLACEMENTS: dict[str, dict[str, Any]] = {
    "inline": {
        "placement": {"decode": "ingress", "detector": "inline", "attributes": "inline"},
        "ingress": TWO,
    },
    "stage and pool": {
        "placement": {"decode": "stage", "detector": "inline", "attributes": "pool"},
        "ingress": TWO,
        "stage": ONE,
        "attributes": ONE | {"max_batch_size": 4, "batch_wait_timeout_s": 0.01},
    },
}
#: Where the six people of the group photo are, from left to right, with some room around each face.
PEOPLE = 6


@pytest.fixture(scope="module", params=list(PLACEMENTS))
def service(request: pytest.FixtureRequest, weights_folder: Path) -> Iterator[Trial]:
    """Run a service of this shape."""
    shape: dict[str, Any] = PLACEMENTS[request.param]
    variables = {**QUICKLY, "FACE_API_FETCH_ALLOW": "127.0.0.1"}
    with trial_service(shape, variables, weights=weights_folder) as started:
        yield started


@pytest.fixture(scope="module")
def client(service: Trial) -> Iterator[httpx.Client]:
    """Speak to it; connections are not kept, so replicas take turns."""
    with _client(service) as opened:
        yield opened


def _client(trial: Trial) -> httpx.Client:
    return httpx.Client(
        base_url=f"{trial.url}/v1",
        headers={"X-API-Key": trial.key, "Connection": "close"},
        timeout=120,
        trust_env=False,
    )


def as_url(pixels: np.ndarray[Any, Any] | bytes) -> str:
    """Return a picture as a data URL."""
    data = pixels if isinstance(pixels, bytes) else cv2.imencode(".jpg", pixels)[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def people_of(client: httpx.Client, photo: Path) -> list[np.ndarray[Any, Any]]:
    """Return a picture of each person of the group photo."""
    client.post("/library", json={"library_id": "nobody"})
    found = client.post("/library/nobody/search", json={"image_url": as_url(photo.read_bytes())}).json()
    pixels = np.asarray(cv2.imdecode(np.frombuffer(photo.read_bytes(), np.uint8), cv2.IMREAD_COLOR))
    pictures = []
    for face in found["faces"]:
        x, y, width, height = face["bbox"]
        room_x, room_y = width // 4, height // 4
        pictures.append(
            pixels[max(y - room_y, 0) : y + height + room_y, max(x - room_x, 0) : x + width + room_x]
        )
    return pictures


def test_people_are_known_again(client: httpx.Client, group_photo_path: Path, portrait_path: Path) -> None:
    """Each of six people, enrolled from a photo, is named on a smaller and darker one; a stranger is not."""
    client.post("/library", json={"library_id": "six", "name": "Six people"})
    pictures = people_of(client, group_photo_path)
    assert len(pictures) == PEOPLE
    for number, picture in enumerate(pictures):
        body = {"person_id": f"p{number}", "name": f"Person {number}", "image_url": as_url(picture)}
        answer = client.post("/library/six/face", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["quality"] > 0.3
    photo = np.asarray(cv2.imread(str(group_photo_path)))
    other = cv2.convertScaleAbs(cv2.resize(photo, None, fx=0.8, fy=0.8), alpha=0.8)
    for _ in range(4):
        faces = client.post("/library/six/search", json={"image_url": as_url(other)}).json()["faces"]
        names = [face["matches"][0]["name"] for face in faces]
        assert sorted(names) == [f"Person {number}" for number in range(PEOPLE)]
    stranger = client.post("/library/six/search", json={"image_url": as_url(portrait_path.read_bytes())})
    assert [face["matches"] for face in stranger.json()["faces"]] == [[]]
    group = {"person_id": "group", "image_url": as_url(photo)}
    refused = client.post("/library/six/face", json=group)
    assert (refused.status_code, refused.json()["error"]["reason"]) == (400, "several_faces")


def test_every_replica_sees_what_was_answered(client: httpx.Client, portrait_path: Path) -> None:
    """Somebody is found right after the enrolment and not right after the erasure, many times in turn."""
    client.post("/library", json={"library_id": "turns"})
    picture = as_url(portrait_path.read_bytes())
    for _ in range(5):
        enrolled = client.post("/library/turns/face", json={"person_id": "eileen", "image_url": picture})
        assert enrolled.status_code == 200, enrolled.text
        found = client.post("/library/turns/search", json={"image_url": picture}).json()
        assert found["faces"][0]["matches"][0]["person_id"] == "eileen"
        assert found["faces"][0]["matches"][0]["score"] > 0.99
        assert client.delete("/library/turns/person/eileen").status_code == 200
        found = client.post("/library/turns/search", json={"image_url": picture}).json()
        assert found["faces"][0]["matches"] == []


def test_operators_see_searches(service: Trial) -> None:
    """Prometheus reads how many searches found their library in memory, and how much memory that is."""
    samples = scrape(service, LIBRARIES)
    name = "ray_facefleet_gallery_searches_total"
    assert total(samples, name, library="ready") > 0
    assert total(samples, name, library="loaded") > 0
    assert total(samples, "ray_facefleet_gallery_bytes", deployment="ingress") > 0


def test_compare_real_faces(client: httpx.Client, group_photo_path: Path, portrait_path: Path) -> None:
    """A portrait and its darker copy are one person, two people are two, and a cat has no face."""
    portrait = np.asarray(cv2.imread(str(portrait_path)))
    darker = cv2.convertScaleAbs(portrait, alpha=0.6)
    one = {"source_image_url": as_url(portrait), "target_image_url": as_url(darker)}
    answer = client.post("/compare", json=one).json()
    assert answer["is_same_person"] is True
    assert answer["score"] > 0.9
    two = {"source_image_url": as_url(portrait), "target_image_url": as_url(group_photo_path.read_bytes())}
    answer = client.post("/compare", json=two).json()
    assert answer["is_same_person"] is False
    none = {
        "source_image_url": as_url(portrait),
        "target_image_url": as_url(np.zeros((300, 300, 3), np.uint8)),
    }
    assert client.post("/compare", json=none).status_code == 422


@pytest.fixture(scope="module")
def media() -> Iterator[FileServer]:
    """Serve what tests put there."""
    with serve_files() as server:
        yield server


def slides(shown: list[tuple[np.ndarray[Any, Any] | None, float]], path: Path) -> bytes:
    """Return a video of pictures, each for so many seconds; None is an empty wall."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = cast("VideoStream", container.add_stream("libx264", rate=10, options={"preset": "veryfast"}))
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        stream.codec_context.time_base, stream.codec_context.gop_size = Fraction(1, 10), 10
        index = 0
        for picture, seconds in shown:
            wall = np.full((480, 640, 3), 120, np.uint8)
            if picture is not None:
                small = cv2.resize(picture, (240, 240 * picture.shape[0] // picture.shape[1]))[:440]
                wall[20 : 20 + len(small), 200:440] = small
            for _ in range(round(seconds * 10)):
                frame = av.VideoFrame.from_ndarray(wall, format="bgr24")
                frame.pts, frame.time_base = index, Fraction(1, 10)
                container.mux(stream.encode(frame))
                index += 1
        container.mux(stream.encode(None))
    return path.read_bytes()


def ended(client: httpx.Client, kind: str = "detection", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a task that recognises once it has succeeded."""
    return over(client, client.post(f"/create-{kind}-task", json={"recognize": 1, **fields}))


def over(client: httpx.Client, made: httpx.Response) -> dict[str, Any]:
    """Return a task that was made once it has succeeded."""
    assert made.status_code == 200, made.text
    deadline = time.monotonic() + 90
    while True:
        task: dict[str, Any] = client.get(f"/task/{made.json()['task_id']}").json()
        if task["status"] not in {"queued", "running"}:
            assert task["status"] == "succeeded", task.get("error")
            return task
        assert time.monotonic() < deadline, task
        time.sleep(0.2)


def test_a_video_names_who_is_enrolled(
    client: httpx.Client, media: FileServer, group_photo_path: Path, portrait_path: Path, tmp_path: Path
) -> None:
    """Real faces in a rendered video: who is enrolled is named, with right spans, and a stranger is not."""
    client.post("/library", json={"library_id": "cast"})
    one, two = people_of(client, group_photo_path)[:2]
    for person, picture in (("one", one), ("two", two)):
        body = {"person_id": person, "name": person.title(), "image_url": as_url(picture)}
        assert client.post("/library/cast/face", json=body).status_code == 200
    stranger = np.asarray(cv2.imread(str(portrait_path)))[:300, 100:400]
    play = [(one, 2.0), (two, 2.0), (None, 3.0), (stranger, 2.0), (None, 3.0), (one, 2.0), (stranger, 2.0)]
    media.files["/play.mp4"] = slides(play, tmp_path / "play.mp4")
    task = ended(client, type="video", media_url=f"{media.url}/play.mp4", library_id="cast", sample_rate=5)
    tracks = task["result"]["face_tracks"]
    assert {track["person_id"] for track in tracks} == {"one", "two", None}
    assert task["result"]["summary"]["unique_identities"] == 3
    persons = client.get(f"/task/{task['task_id']}/persons").json()["persons"]
    spans = {
        each["name"] or each["unknown_id"][0]: [(span["start_ms"], span["end_ms"]) for span in each["spans"]]
        for each in persons
    }
    expected = {
        "One": [(0, 1800), (12000, 13800)],
        "Two": [(2000, 3800)],
        "u": [(7000, 8800), (14000, 15800)],
    }
    assert {name: len(found) for name, found in spans.items()} == {"One": 2, "Two": 1, "u": 2}
    for name, wanted in expected.items():
        assert np.abs(np.array(spans[name]) - np.array(wanted)).max() <= 250, spans


def test_our_staff_stays_visible_and_everybody_else_is_hidden(
    client: httpx.Client, media: FileServer, group_photo_path: Path, portrait_path: Path, tmp_path: Path
) -> None:
    """With `keep` whoever is enrolled is shown, and a stranger never; with `only` it is the other way."""
    client.post("/library", json={"library_id": "ours"})
    one = people_of(client, group_photo_path)[0]
    body = {"person_id": "one", "image_url": as_url(one)}
    assert client.post("/library/ours/face", json=body).status_code == 200
    stranger = np.asarray(cv2.imread(str(portrait_path)))[:300, 100:400]
    media.files["/two.mp4"] = slides([(one, 2.0), (None, 2.0), (stranger, 2.0)], tmp_path / "two.mp4")
    video: dict[str, Any] = {
        "type": "video",
        "media_url": f"{media.url}/two.mp4",
        "library_id": "ours",
        "report": "frames",
    }
    hidden = {}
    for choice in ("keep", "only"):
        task = ended(client, "mask", **video, **{choice: ["one"]})
        frames = task["result"]["frames"]
        hidden[choice] = {frame["timestamp"] for frame in frames if frame["faces"]}
    times = {index / 10 for index in range(60)}
    ours, strangers = {at for at in times if at < 2}, {at for at in times if at >= 4}
    assert strangers <= hidden["keep"]
    assert len(ours & hidden["keep"]) <= 4
    assert ours <= hidden["only"]
    assert len(strangers & hidden["only"]) <= 4


def test_a_picture_names_who_was_imported(
    client: httpx.Client, media: FileServer, group_photo_path: Path
) -> None:
    """Six people enrolled by a ZIP are six in a task on a photo of them, each by name."""
    client.post("/library", json={"library_id": "named"})
    staff = io.BytesIO()
    with zipfile.ZipFile(staff, "w") as zipped:
        for number, picture in enumerate(people_of(client, group_photo_path)):
            zipped.writestr(f"staff/p{number}/1.jpg", cv2.imencode(".jpg", picture)[1].tobytes())
        zipped.writestr("staff/nobody/1.jpg", cv2.imencode(".jpg", np.zeros((300, 300, 3)))[1].tobytes())
    media.files["/staff.zip"] = staff.getvalue()
    made = client.post("/library/named/import", json={"media_url": f"{media.url}/staff.zip"})
    imported = over(client, made)
    assert imported["result"]["summary"] == {"rows": PEOPLE + 1, "enrolled": PEOPLE, "refused": 1}
    assert imported["result"]["rows"][-1]["code"] == "no_faces_detected"
    media.files["/group.jpg"] = group_photo_path.read_bytes()
    photo: dict[str, Any] = {"type": "image", "media_url": f"{media.url}/group.jpg", "min_face_size": 20}
    task = ended(client, library_id="named", **photo)
    (frame,) = task["result"]["frames"]
    named = [face["identity"]["matches"][0]["person_id"] for face in frame["faces"]]
    assert sorted(named) == [f"p{number}" for number in range(PEOPLE)]
    assert task["result"]["summary"] == {"total_faces": PEOPLE, "unique_identities": PEOPLE}
