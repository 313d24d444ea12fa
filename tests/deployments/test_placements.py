"""One service in every shape: the same faces, errors, limits and calm, whatever dies."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from PIL import Image

from cluster.trial import Trial, run_facefleet, trial_service
from tests.deployments.crowd import Crowd, crowd
from tests.deployments.reshaping import reshape, run_inside
from tests.deployments.scraping import BATCHES, QUICKLY, Samples, scrape, total

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.serve, pytest.mark.xdist_group("placements")]

TWO = {"min_replicas": 2, "max_replicas": 2}
THREE = {"min_replicas": 3, "max_replicas": 3}
POOL = TWO | {"max_batch_size": 4, "batch_wait_timeout_s": 0.02}
STAGE_AND_POOL: dict[str, Any] = {
    "placement": {"decode": "stage", "detector": "pool"},
    "stage": TWO,
    "detector": POOL,
}
#: The shapes that follow, each with another number of replicas too; the last one takes little load.
OTHERS: dict[str, dict[str, Any]] = {
    "pool": {
        "placement": {"decode": "ingress", "detector": "pool"},
        "ingress": THREE,
        "detector": POOL,
    },
    "inline": {
        "placement": {"decode": "ingress", "detector": "inline"},
        "ingress": TWO | {"max_waiting": 4},
    },
}
#: How long requests may be refused once replicas of a kind are all gone; here they share two cores with us.
WELL_AGAIN_S = 40
MESSAGE_CAP = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def service(weights_folder: Path) -> Iterator[Trial]:
    """Run a service with stages and pools; its tests come in this order, the last ones change its shape."""
    with trial_service(STAGE_AND_POOL, QUICKLY, weights=weights_folder) as started:
        yield started


@pytest.fixture(scope="module")
def picture(group_photo_path: Path) -> bytes:
    """Return the photo of six."""
    return group_photo_path.read_bytes()


@pytest.fixture(scope="module")
def faces(service: Trial, picture: bytes) -> object:
    """Return what the first shape sees."""
    return post(service, picture).json()["detections"]


def post(service: Trial, data: bytes, path: str = "/api/v1/detect") -> httpx.Response:
    """Send a picture."""
    return httpx.post(
        service.url + path,
        headers={"X-API-Key": service.key},
        files={"image": data},
        timeout=90,
        trust_env=False,
    )


def noise(width: int, height: int) -> bytes:
    """Return a PNG that cannot be packed: about three bytes a pixel."""
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=0)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "path", "status", "words"),
    [
        (b"\xff\xd8\xff\xe0 no picture", "/api/v1/detect", 400, ""),
        (b"%PDF-1.7", "/api/v1/detect", 415, ""),
        (b"", "/api/v1/mask", 400, "empty"),
        (bytes(50_000_001), "/api/v1/detect", 413, "large"),
    ],
    ids=["broken", "wrong type", "empty", "too large"],
)
def test_errors_keep_their_kind_over_handles(
    service: Trial, data: bytes, path: str, status: int, words: str
) -> None:
    """What a stage refuses is refused with the same status and words as in one process."""
    answer = post(service, data, path)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["detail"]
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("size", [(1500, 1200), (4600, 3600)])
def test_large_pictures_cross_by_reference(service: Trial, size: tuple[int, int]) -> None:
    """Neither a picture nor an answer is held back by the cap on messages, up to the largest file."""
    data = noise(*size)
    assert MESSAGE_CAP < len(data) < 50_000_000
    answer = post(service, data)
    assert answer.status_code == 200, answer.text
    assert answer.json()["image"]["size_bytes"] == len(data)
    masked = post(service, data, "/api/v1/mask?format=png")
    assert masked.status_code == 200, masked.text
    assert len(masked.content) > MESSAGE_CAP
    assert Image.open(BytesIO(masked.content)).size == size


def test_pictures_of_many_requests_run_together(service: Trial) -> None:
    """The pool's network sees several requests' canvases at once, and never more than its limit."""
    sizes = run_inside(service, "tests.deployments.asking_pool")
    assert max(sizes) == 4
    assert sum(size > 1 for size in sizes) > len(sizes) / 2


def test_batches_are_seen(service: Trial) -> None:
    """Prometheus reads how many requests ran together, and the stages' times from where they ran."""
    count, size = (f"ray_facefleet_batch_size_{part}_total" for part in ("count", "sum"))
    of_the_pool = {"pool": "detector", "deployment": "detector-yunet"}

    def ran_together(samples: Samples) -> bool:
        return total(samples, count, **of_the_pool) < total(samples, size, **of_the_pool)

    samples = scrape(service, BATCHES | {"stage_seconds"}, ran_together)
    assert total(samples, "ray_facefleet_stage_seconds_count_total", stage="decode", deployment="stage") > 0


@pytest.mark.parametrize("kind", ["stage", "detector-yunet", "ingress"])
def test_replicas_that_are_killed_come_back(service: Trial, picture: bytes, kind: str) -> None:
    """All replicas of a kind die at once: requests wait or are told to come again, and soon all is well."""
    with crowd(service, picture) as seen:
        time.sleep(1)
        killed = time.monotonic()
        victims = service.replicas(kind)
        assert len(victims) == 2
        for process in victims:
            process.kill()
        deadline = killed + WELL_AGAIN_S
        while time.monotonic() < deadline and not _all_well(seen, killed):
            time.sleep(0.2)
    assert seen.errors == []
    assert seen.statuses() <= {200, 503}
    for reply in seen.replies:
        if reply.status == 503:
            assert json.loads(reply.text)["detail"]
            assert int(reply.retry_after or 0) >= 1
    assert seen.well_since(killed) < WELL_AGAIN_S
    assert post(service, picture).status_code == 200


def test_scaling_by_hand(service: Trial, picture: bytes) -> None:
    """Other numbers of replicas, and back to those of the shape, under load: no request is lost."""
    with crowd(service, picture, clients=2) as seen:
        up = service.facefleet("scale", "stage=3", "detector-yunet=1")
        assert up.returncode == 0, up.stderr
        assert (len(service.replicas("stage")), len(service.replicas("detector-yunet"))) == (3, 1)
        back = service.facefleet("scale", "stage=auto", "detector=auto")
        assert back.returncode == 0, back.stderr
    assert (len(service.replicas("stage")), len(service.replicas("detector-yunet"))) == (2, 2)
    assert seen.errors == []
    assert [reply for reply in seen.replies if reply.status != 200] == []
    assert len(seen.replies) > 20
    deadline = time.monotonic() + WELL_AGAIN_S
    while "requests in work: 0" not in (told := operators_status(service)):
        assert time.monotonic() < deadline, told
        time.sleep(1)  # figures are some seconds old
    assert any("stage" in line and "2/2" in line for line in told.splitlines()), told
    assert "queue: 0 tasks wait, 0 run" in told
    wrong = service.facefleet("scale", "attributes=2")
    assert wrong.returncode == 2
    assert "attributes does not run in this shape" in wrong.stderr


def operators_status(service: Trial) -> str:
    """Return what `facefleet status` tells the administrator."""
    given = {"FACEFLEET_URL": service.url, "FACEFLEET_KEY": service.key}
    given["FACEFLEET_ADMIN_PASSWORD"] = service.admin_password
    ran = run_facefleet(("status",), {**service.variables, **given})
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def _all_well(seen: Crowd, killed: float) -> bool:
    """Tell whether answers have been good for three seconds on end."""
    last_bad = killed + seen.well_since(killed)
    good = [reply for reply in seen.replies if reply.status == 200 and reply.at > last_bad + 1]
    return len(good) > 10 and time.monotonic() > last_bad + 3


@pytest.mark.parametrize("shape", OTHERS)
def test_every_shape_sees_the_same_faces(service: Trial, picture: bytes, faces: object, shape: str) -> None:
    """Boxes, scores and points do not depend on where stages live; no request is lost on the way there."""
    with crowd(service, picture, clients=2) as seen:
        reshape(service, OTHERS[shape])
        time.sleep(1)
    assert seen.errors == []
    assert [reply for reply in seen.replies if reply.status != 200] == []
    answer = post(service, picture)
    assert answer.json()["detections"] == faces
    assert answer.json()["summary"]["face_count"] == 6


def test_too_much_load_is_shed_in_words(service: Trial, picture: bytes) -> None:
    """More requests than may wait are a 503 that says when to come again; the others are answered."""
    with ThreadPoolExecutor(24) as clients:
        answers = list(clients.map(lambda _: post(service, picture), range(72)))
    assert {answer.status_code for answer in answers} == {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["detail"] == "too many pictures are waiting"
            assert answer.headers["retry-after"] == "1"


def test_going_down_finishes_what_was_begun(service: Trial, picture: bytes) -> None:
    """Requests that are in work when the service is stopped are answered."""
    large = noise(4000, 3000)
    with ThreadPoolExecutor(7) as clients:
        begun = [clients.submit(post, service, large, "/api/v1/mask?format=png") for _ in range(6)]
        time.sleep(0.7)
        assert not all(request.done() for request in begun)
        down = clients.submit(service.facefleet, "down")
        assert [request.result().status_code for request in begun] == [200] * 6
        assert down.result().stdout == "facefleet: stopped\n"
    assert service.processes() == []
    with pytest.raises(httpx.ConnectError):
        post(service, picture)
