"""Door one over the real networks: every attribute of a group photo, in exactly the published shapes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # carries no types
from pydantic import SecretStr

from app.api import create_app
from app.services import open_services
from app.settings import Settings
from models.attribute_networks import load_attribute_network
from models.detectors import load_detector
from models.manifest import load_manifest
from models.session import RuntimeOptions
from pipelines.analyze_image import ImageAnalyzer
from pipelines.attributes import Attribute
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.read_attributes import FaceReader, InlineCropNetworks
from tests.app.conftest import client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import httpx

    from models.store import Store

CPU = RuntimeOptions(device="cpu")
NETWORKS = ("facemesh", "age", "gender", "emotion", "glasses", "mask")
EVERY = ",".join(attribute.value for attribute in Attribute)
ANGLE = {"type": "number", "minimum": -180, "maximum": 180}
#: The published table of attributes, as a JSON schema of its own: nothing of the service's code is in it.
VALUES: dict[str, dict[str, Any]] = {
    "age": {"type": "integer", "minimum": 0, "maximum": 100},
    "gender": {"enum": ["male", "female"]},
    "emotion": {"enum": ["neutral", "happy", "sad", "angry", "surprised", "disgusted", "fearful"]},
    "pose": {
        "type": "object",
        "properties": {"yaw": ANGLE, "pitch": ANGLE, "roll": ANGLE},
        "required": ["yaw", "pitch", "roll"],
        "additionalProperties": False,
    },
    "glasses": {"type": "boolean"},
    "mask": {"type": "boolean"},
    "quality": {"type": "number", "minimum": 0, "maximum": 1},
    "landmarks": {
        "type": "array",
        "minItems": 106,
        "maxItems": 106,
        "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}},
    },
}


def schema_of(*names: str) -> Draft202012Validator:
    """Return what `attributes` of a face must be: all that was asked for, gender perhaps, and no more."""
    return Draft202012Validator(
        {
            "type": "object",
            "properties": {name: VALUES[name] for name in names},
            "required": [name for name in names if name != "gender"],
            "additionalProperties": False,
        }
    )


@pytest.fixture(scope="module")
def analyzer(weights_store: Store) -> Iterator[ImageAnalyzer]:
    """The default pack as it is served, in this process."""
    manifest = load_manifest()
    with ThreadLane(1) as lane:
        networks = [
            load_attribute_network(manifest[name], weights_store.path(manifest[name]), CPU)
            for name in NETWORKS
        ]
        reader = FaceReader(InlineCropNetworks(networks, lane), lane)
        yunet = load_detector(manifest["yunet"], weights_store.path(manifest["yunet"]), CPU)
        yield ImageAnalyzer({"yunet": InlineDetector(yunet, lane)}, "yunet", lane, reader=reader)


@pytest.fixture
async def client(analyzer: ImageAnalyzer, tmp_path: Path, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of door one over that engine."""
    settings = Settings(home=tmp_path, database_enabled=False, bootstrap_key=SecretStr(key))
    async with (
        open_services(settings, analyzer) as services,
        client_of(create_app(services), key) as opened,
    ):
        yield opened


async def told(client: httpx.AsyncClient, photo: Path, names: str) -> list[dict[str, Any]]:
    """Return the attributes of each face of a photo."""
    data = await asyncio.to_thread(photo.read_bytes)
    response = await client.post(f"/api/v1/detect?attributes={names}", files={"image": (photo.name, data)})
    assert response.status_code == 200, response.text
    return [found["attributes"] for found in response.json()["detections"]]


async def test_every_attribute_of_a_group_has_the_published_shape(
    client: httpx.AsyncClient, group_photo_path: Path
) -> None:
    """Six people, eight attributes each, exactly as the table says; the points lie in the photo."""
    faces = await told(client, group_photo_path, EVERY)
    assert len(faces) == 6
    for face in faces:
        schema_of(*VALUES).validate(face)
        assert list(face) == [name for name in VALUES if name in face]
        assert all(0 <= x <= 1280 and 0 <= y <= 886 for x, y in face["landmarks"])
    assert sum("gender" in face for face in faces) >= 5
    assert not any(face["mask"] or face["glasses"] for face in faces)
    assert {face["gender"] for face in faces if "gender" in face} == {"male", "female"}


@pytest.mark.parametrize("name", sorted(VALUES))
async def test_each_attribute_alone_is_told_alone(
    client: httpx.AsyncClient, portrait_path: Path, name: str
) -> None:
    """Asked for one thing, the answer has that one and no other key."""
    (face,) = await told(client, portrait_path, name)
    schema_of(name).validate(face)
    assert list(face) == [name]


def test_the_schema_refuses_what_was_never_published() -> None:
    """The check can fail: wrong types, ranges, names and missing keys are each refused."""
    good = {
        "age": 30,
        "emotion": "happy",
        "pose": {"yaw": 1.0, "pitch": 2.0, "roll": 3.0},
        "glasses": False,
        "mask": False,
        "quality": 0.9,
        "landmarks": [[1.0, 2.0]] * 106,
    }
    schema = schema_of(*VALUES)
    assert schema.is_valid(good)
    for wrong in (
        {"age": 30.5},
        {"age": 101},
        {"gender": None},
        {"emotion": "surprise"},
        {"pose": {"yaw": 1.0, "pitch": 2.0}},
        {"glasses": 0},
        {"quality": 1.1},
        {"landmarks": [[1.0, 2.0]] * 105},
        {"beauty": 1},
    ):
        assert not schema.is_valid({**good, **wrong}), wrong
    assert not schema.is_valid({name: value for name, value in good.items() if name != "age"})
