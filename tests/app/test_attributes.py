"""Attributes at door one: asked for by name, shown in the published shapes, refused in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from app.api import create_app
from app.attributes import attributes_answer, wanted_attributes
from app.schemas import AttributesShape, DetectResponse
from app.settings import Settings
from pipelines.attributes import Attribute, Emotion, FaceAttributes, Gender, Pose
from pipelines.errors import DependencyDown, InvalidOption, SwitchedOff
from tests.app.conftest import client_of

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from app.services import Services
    from pipelines.results import Detection, DetectOptions
    from tests.fakes.engine import FakeEngine

PICTURE = {"image": ("photo.jpg", b"the bytes of a picture", "image/jpeg")}
ALL = frozenset(Attribute)
FULL = FaceAttributes(
    age=28,
    gender=Gender.FEMALE,
    emotion=Emotion.HAPPY,
    pose=Pose(-4.3123, 2.06, 0.74),
    glasses=False,
    mask=False,
    quality=0.91234,
    landmarks=np.linspace(400.04, 500.0, 212, dtype=np.float32).reshape(106, 2),
    presence=0.99,
)
#: What the published example shows, but for the points.
SHOWN = {
    "age": 28,
    "gender": "female",
    "emotion": "happy",
    "pose": {"yaw": -4.3, "pitch": 2.1, "roll": 0.7},
    "glasses": False,
    "mask": False,
    "quality": 0.912,
}


@pytest.fixture
def reading_engine(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Return the engine, which now tells attributes of its two faces where they are asked for."""
    plain = engine.detect

    async def detect(data: bytes, options: DetectOptions) -> Detection:
        found = await plain(data, options)
        if not options.attributes:
            return found
        profile = replace(found.profile, attributes_ms=4.567)
        return replace(found, attributes=(FULL, FaceAttributes(quality=0.0)), profile=profile)

    monkeypatch.setattr(engine, "detect", detect)
    return engine


def shown(answer: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return an answer with its enumerations as the words that JSON has for them."""
    return AttributesShape.model_validate(answer).model_dump(mode="json", exclude_unset=True)


def test_values_are_shown_as_published() -> None:
    """Every attribute has the published shape."""
    answer = shown(attributes_answer(FULL, ALL))
    landmarks = answer.pop("landmarks")
    assert answer == SHOWN
    assert len(landmarks) == 106
    assert landmarks[0] == [400.0, 400.5]


def test_what_could_not_be_told_is_null_and_gender_is_left_out() -> None:
    """A box without a face still has every key that was asked for, but for gender."""
    assert attributes_answer(FaceAttributes(quality=0.0), ALL) == {
        "age": None,
        "emotion": None,
        "pose": None,
        "glasses": None,
        "mask": None,
        "quality": 0.0,
        "landmarks": None,
    }


def test_nothing_else_is_shown() -> None:
    """Only what was asked for is in the answer, whatever is known."""
    assert shown(attributes_answer(FULL, {Attribute.AGE, Attribute.MASK})) == {"age": 28, "mask": False}
    assert attributes_answer(FULL, ()) == {}


def test_names_are_read_with_patience() -> None:
    """Spaces, empty parts and repetitions are no mistakes; other names are."""
    assert wanted_attributes(" age, landmarks,,age ", ()) == {Attribute.AGE, Attribute.LANDMARKS}
    assert wanted_attributes(None, ()) == wanted_attributes("", ()) == frozenset()
    for wrong in ("Age", "ages", "age;pose", "age pose"):
        with pytest.raises(InvalidOption, match="age, gender, emotion"):
            wanted_attributes(wrong, ())
    with pytest.raises(SwitchedOff, match="gender"):
        wanted_attributes("age,gender", {Attribute.GENDER})


async def test_detect_tells_what_is_asked_for(client: httpx.AsyncClient, reading_engine: FakeEngine) -> None:
    """Each detection carries its own attributes, and the answer fits the schema."""
    response = await client.post("/api/v1/detect?attributes=age,gender,quality,landmarks", files=PICTURE)
    assert response.status_code == 200
    answer = response.json()
    DetectResponse.model_validate(answer)
    first, second = (found["attributes"] for found in answer["detections"])
    assert list(first) == ["age", "gender", "quality", "landmarks"]
    assert second == {"age": None, "quality": 0.0, "landmarks": None}
    assert answer["profiling"]["attributes_ms"] == 4.57
    (options,) = reading_engine.asked[-1]
    wanted = {Attribute.AGE, Attribute.GENDER, Attribute.QUALITY, Attribute.LANDMARKS}
    assert getattr(options, "attributes", None) == wanted


async def test_without_the_parameter_nothing_is_new(
    client: httpx.AsyncClient, reading_engine: FakeEngine
) -> None:
    """Clients of old see the answer of old."""
    answer = (await client.post("/api/v1/detect", files=PICTURE)).json()
    assert all("attributes" not in found for found in answer["detections"])
    assert "attributes_ms" not in answer["profiling"]
    assert len(reading_engine.asked) == 1


async def test_an_unknown_name_is_a_wrong_parameter(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    """The text lists the names that there are; the picture is not looked at."""
    response = await client.post("/api/v1/detect?attributes=age,beauty", files=PICTURE)
    assert response.status_code == 422
    assert "landmarks" in response.json()["detail"]
    assert "beauty" not in response.text
    assert not engine.seen


async def test_what_the_operator_switched_off_is_refused(
    services: Services, settings: Settings, key: str, reading_engine: FakeEngine
) -> None:
    """Asking for it is a 400 that says so; everything else is told as before."""
    strict = settings.model_copy(update={"attributes_disabled": (Attribute.GENDER, Attribute.AGE)})
    client = client_of(create_app(replace(services, settings=strict)), key)
    refused = await client.post("/api/v1/detect?attributes=quality,age", files=PICTURE)
    assert refused.status_code == 400
    assert refused.json() == {"detail": "attributes: age switched off by the operator of this service"}
    assert not reading_engine.seen
    allowed = await client.post("/api/v1/detect?attributes=quality", files=PICTURE)
    assert allowed.status_code == 200


async def test_weights_that_are_missing_are_no_bug(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    """The engine's word that a network is not installed comes through as 503."""
    engine.error = DependencyDown("the weights for age are not installed; run: facefleet models pull")
    response = await client.post("/api/v1/detect?attributes=age", files=PICTURE)
    assert response.status_code == 503
    assert "facefleet models pull" in response.json()["detail"]


def test_the_setting_takes_a_list_of_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commas separate; a name that is none stops the start."""
    monkeypatch.setenv("FACE_API_HOME", str(tmp_path))
    monkeypatch.setenv("FACE_API_ATTRIBUTES_DISABLED", "gender, emotion")
    assert Settings().attributes_disabled == (Attribute.GENDER, Attribute.EMOTION)
    monkeypatch.setenv("FACE_API_ATTRIBUTES_DISABLED", "gender,beauty")
    with pytest.raises(ValueError, match="beauty"):
        Settings()


async def test_the_documentation_tells_of_attributes(client: httpx.AsyncClient) -> None:
    """The parameter, its names and the shape of the values are in the OpenAPI document."""
    document = (await client.get("/openapi.json")).json()
    parameters = document["paths"]["/api/v1/detect"]["post"]["parameters"]
    (parameter,) = (each for each in parameters if each["name"] == "attributes")
    assert all(attribute.value in parameter["description"] for attribute in Attribute)
    assert set(document["components"]["schemas"]["AttributesShape"]["properties"]) == {
        attribute.value for attribute in Attribute
    }
