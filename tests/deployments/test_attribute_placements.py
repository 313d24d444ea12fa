"""Attributes of a running service, with the networks inline and in a pool of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.schemas import DetectResponse
from cluster.trial import Trial, trial_service
from pipelines.attributes import Attribute

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.serve, pytest.mark.xdist_group("attribute placements")]

ONE = {"min_replicas": 1, "max_replicas": 1}
PLACEMENTS: dict[str, dict[str, Any]] = {
    "inline": {
        "placement": {"decode": "ingress", "detector": "inline", "attributes": "inline"},
        "ingress": ONE,
    },
    "stage and pool": {
        "placement": {"decode": "stage", "detector": "inline", "attributes": "pool"},
        "ingress": ONE,
        "stage": ONE,
        "attributes": ONE | {"max_batch_size": 4, "batch_wait_timeout_s": 0.01},
    },
}
EVERY = ",".join(attribute.value for attribute in Attribute)


@pytest.fixture(scope="module", params=list(PLACEMENTS))
def service(request: pytest.FixtureRequest, weights_folder: Path) -> Iterator[Trial]:
    """Run a service of this shape in which nobody may ask for emotions."""
    shape: dict[str, Any] = PLACEMENTS[request.param]
    variables = {"FACE_API_ATTRIBUTES_DISABLED": "emotion"}
    with trial_service(shape, variables=variables, weights=weights_folder) as started:
        yield started


def ask(service: Trial, picture: Path, attributes: str) -> httpx.Response:
    """Send a picture."""
    return httpx.post(
        f"{service.url}/api/v1/detect",
        params={"attributes": attributes, "confidence": 0.6},
        headers={"X-API-Key": service.key},
        files={"image": picture.read_bytes()},
        timeout=120,
        trust_env=False,
    )


def test_every_face_is_read(service: Trial, group_photo_path: Path) -> None:
    """Six faces, each with every attribute that may be asked for, and the answer fits the schema."""
    wanted = EVERY.replace("emotion,", "")
    response = ask(service, group_photo_path, wanted)
    assert response.status_code == 200, response.text
    answer = response.json()
    DetectResponse.model_validate(answer)
    assert len(answer["detections"]) == 6
    for found in answer["detections"]:
        told = found["attributes"]
        assert set(told) | {"gender"} == set(wanted.split(","))
        assert 15 <= told["age"] <= 60
        assert (told["glasses"], told["mask"]) == (False, False)
        assert len(told["landmarks"]) == 106
        assert told["quality"] > 0.4
    # Looking to the picture's left, as three of them do.
    assert sum(found["attributes"]["pose"]["yaw"] < -15 for found in answer["detections"]) >= 3
    assert answer["profiling"]["attributes_ms"] > 0


def test_a_crowd_of_crops_crosses_to_the_networks(service: Trial, group_photo_path: Path) -> None:
    """At no confidence there are many faces: their crops are more than one message holds."""
    response = httpx.post(
        f"{service.url}/api/v1/detect",
        params={"attributes": "landmarks,age", "confidence": 0.0, "max_faces": 40},
        headers={"X-API-Key": service.key},
        files={"image": group_photo_path.read_bytes()},
        timeout=120,
        trust_env=False,
    )
    assert response.status_code == 200, response.text
    assert len(response.json()["detections"]) == 40


def test_what_is_switched_off_stays_off(service: Trial, portrait_path: Path) -> None:
    """The operator's setting reaches the service, whatever its shape."""
    response = ask(service, portrait_path, "age,emotion")
    assert response.status_code == 400
    assert "emotion switched off" in response.json()["detail"]
