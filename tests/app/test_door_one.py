"""What door one's clients see."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import structlog

from app.schemas import DetectResponse, HealthResponse
from pipelines.errors import (
    DependencyDown,
    InvalidMedia,
    InvalidOption,
    MediaTooLarge,
    Overloaded,
    UnsupportedMedia,
)
from pipelines.faces import Faces
from pipelines.results import DetectOptions, EncodeOptions, ImageFormat, MaskMethod, MaskOptions
from tests.fakes.engine import SPARE, some_faces

if TYPE_CHECKING:
    import httpx

    from tests.fakes.engine import FakeEngine

PICTURE = {"image": ("photo.jpg", b"the bytes of a picture", "image/jpeg")}

#: The example of the published document, as it stands there.
PUBLISHED: dict[str, Any] = {
    "request_id": "uuid",
    "image_id": None,
    "job_id": None,
    "image": {"width": 1920, "height": 1080, "channels": 3, "size_bytes": 245760},
    "detections": [
        {
            "index": 0,
            "bbox": {"x1": 100.5, "y1": 200.3, "x2": 300.1, "y2": 400.7},
            "confidence": 0.9876,
            "landmarks": {
                "left_eye": {"x": 150.2, "y": 250.1},
                "right_eye": {"x": 250.3, "y": 248.9},
                "nose": {"x": 200.1, "y": 310.5},
                "left_mouth": {"x": 160.7, "y": 360.2},
                "right_mouth": {"x": 240.5, "y": 358.8},
            },
            "size": {"width": 199.6, "height": 200.4},
            "area": 39999.84,
            "center": {"x": 200.3, "y": 300.5},
            "relative": {"x_center": 0.1043, "y_center": 0.2782, "width": 0.104, "height": 0.1855},
        }
    ],
    "summary": {
        "face_count": 1,
        "avg_confidence": 0.9876,
        "min_confidence": 0.9876,
        "max_confidence": 0.9876,
        "total_face_area": 39999.84,
        "face_area_ratio": 0.019,
    },
    "processing": {
        "model": "scrfd_10g",
        "input_size": [640, 640],
        "confidence_threshold": 0.5,
        "nms_threshold": 0.4,
        "inference_ms": 12.34,
        "total_ms": 18.56,
    },
    "profiling": {
        "decode_ms": 3.21,
        "preprocess_ms": 1.05,
        "blob_ms": 0.82,
        "inference_ms": 12.34,
        "postprocess_ms": 0.45,
        "nms_ms": 0.12,
        "mask_ms": None,
        "encode_ms": None,
        "storage_ms": None,
        "total_ms": 18.56,
        "candidates_before_nms": 15,
        "candidates_after_nms": 1,
        "det_scale": 0.333333,
        "input_resolution": "1920x1080",
        "det_resolution": "640x640",
        "input_bytes": 245760,
        "output_bytes": None,
        "input_pixels": 2073600,
        "model_name": "scrfd_10g",
    },
}


def keys_of(value: object) -> object:
    """Return the shape of an answer: its keys in order, without the values."""
    if isinstance(value, dict):
        return {name: keys_of(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [keys_of(inner) for inner in value[:1]]
    return None


def test_published_example_fits_our_schema() -> None:
    """The example of the published document validates against the schema."""
    assert DetectResponse.model_validate(PUBLISHED).model_dump(mode="json", exclude_unset=True) == PUBLISHED


async def test_detect_answers_the_published_shape(client: httpx.AsyncClient) -> None:
    """An answer has the published fields, in their order, and validates."""
    answer = (await client.post("/api/v1/detect", files=PICTURE)).json()
    assert keys_of(answer) == keys_of(PUBLISHED)
    assert list(answer) == list(PUBLISHED)
    DetectResponse.model_validate(answer)


async def test_a_face_is_shown_as_published(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    """The published example's box comes out with the published size, area, centre and fractions."""
    points = np.array([[[150.2, 250.1], [250.3, 248.9], [200.1, 310.5], [160.7, 360.2], [240.5, 358.8]]])
    engine.faces = Faces(
        np.array([[100.5, 200.3, 300.1, 400.7]], np.float32),
        np.array([0.9876], np.float32),
        points.astype(np.float32),
    )
    answer = (await client.post("/api/v1/detect", files=PICTURE)).json()
    expected = PUBLISHED["detections"][0]
    shown = answer["detections"][0]
    # The document's own 0.1855 is 200.4 / 1080 = 0.18556 cut short.
    assert shown.pop("relative") == {**expected["relative"], "height": 0.1856}
    assert shown == {name: value for name, value in expected.items() if name != "relative"}
    assert answer["summary"] == {**PUBLISHED["summary"], "face_area_ratio": 0.0193}


async def test_boxes_are_clipped_to_the_picture(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    """A box that leaves the picture is cut at its edge, and the fractions stay within 0..1."""
    box = np.array([[-50.0, -20.0, 2500.0, 5000.0]], np.float32)
    engine.faces = Faces(box, np.array([1.0], np.float32), None)
    answer = (await client.post("/api/v1/detect", files=PICTURE)).json()
    face = answer["detections"][0]
    assert face["bbox"] == {"x1": 0.0, "y1": 0.0, "x2": 1920.0, "y2": 1080.0}
    assert face["relative"] == {"x_center": 0.5, "y_center": 0.5, "width": 1.0, "height": 1.0}
    assert answer["summary"]["face_area_ratio"] == 1.0


async def test_no_faces_is_a_normal_answer(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    """A picture without faces is answered with an empty list and zeros."""
    engine.faces = Faces.none(with_points=True)
    answer = (await client.post("/api/v1/detect", files=PICTURE)).json()
    DetectResponse.model_validate(answer)
    assert answer["detections"] == []
    assert set(answer["summary"].values()) == {0}


async def test_landmarks_are_null_without_points(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    """A detector that knows no points shows null and not invented ones."""
    engine.faces = some_faces(3, with_points=False)
    answer = (await client.post("/api/v1/detect", files=PICTURE)).json()
    DetectResponse.model_validate(answer)
    assert [face["landmarks"] for face in answer["detections"]] == [None] * 3


async def test_detect_profiling_shows_what_was_measured(client: httpx.AsyncClient) -> None:
    """Stages that did not run are null, the others are what the engine measured."""
    answer = (await client.post("/api/v1/detect", files=PICTURE)).json()
    profiling = answer["profiling"]
    assert (profiling["mask_ms"], profiling["encode_ms"], profiling["storage_ms"]) == (None, None, None)
    assert (profiling["decode_ms"], profiling["inference_ms"]) == (3.21, 12.34)
    assert (profiling["det_scale"], profiling["det_resolution"]) == (0.333333, "640x384")
    assert answer["processing"]["total_ms"] == profiling["total_ms"] < 1000


async def test_detect_passes_bytes_and_options_on(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    """The engine gets the picture's bytes and the query's values."""
    query = "confidence=0.6&nms_threshold=0.3&max_faces=5&model=fake_spare"
    answer = await client.post(f"/api/v1/detect?{query}", files=PICTURE)
    assert engine.seen == [b"the bytes of a picture"]
    assert engine.asked == [(DetectOptions(0.6, 0.3, 5, SPARE.name),)]
    assert answer.json()["processing"]["model"] == SPARE.name


async def test_defaults_are_the_published_ones(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    """Without a query the published defaults hold."""
    await client.post("/api/v1/detect", files=PICTURE)
    await client.post("/api/v1/mask", files=PICTURE)
    detect = DetectOptions(0.5, 0.4, 0, None)
    assert engine.asked == [
        (detect,),
        (detect, MaskOptions(MaskMethod.GAUSSIAN, 199, 0.15), EncodeOptions(ImageFormat.JPEG, 95)),
    ]


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
async def test_mask_answers_a_picture_with_its_headers(client: httpx.AsyncClient, kind: str) -> None:
    """The answer is the picture itself, and the published headers tell about it."""
    answer = await client.post(f"/api/v1/mask?method=pixelate&strength=32&format={kind}", files=PICTURE)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"image/{kind}"
    assert answer.content == b"the bytes of a picture"[::-1]
    uuid.UUID(answer.headers["x-request-id"])
    assert answer.headers["x-face-count"] == "2"
    assert answer.headers["x-model"] == "fake_detector"
    times = [answer.headers[f"x-{name}-ms"] for name in ("inference", "mask", "encode")]
    assert times == ["12.34", "2.00", "3.00"]
    assert float(answer.headers["x-total-ms"]) >= 0


@pytest.mark.parametrize(
    "query",
    [
        "confidence=-0.01",
        "confidence=1.01",
        "confidence=nan",
        "confidence=inf",
        "confidence=-inf",
        "confidence=1e999",
        "confidence=",
        "confidence=half",
        "confidence=0,5",
        "confidence=%00",
        "confidence=%F0%9F%98%80",
        "nms_threshold=2",
        "nms_threshold=NaN",
        "max_faces=-1",
        "max_faces=1.5",
        "max_faces=99999999999999999999999999",
        "max_faces=0x10",
        "method=none",
        "method=GAUSSIAN",
        "strength=0",
        "strength=-5",
        "strength=1000000",
        "padding=-0.1",
        "padding=nan",
        "padding=inf",
        "format=gif",
        "quality=0",
        "quality=101",
        "model=unknown",
        "model=" + "x" * 5000,
    ],
)
async def test_senseless_parameters_are_refused(client: httpx.AsyncClient, query: str) -> None:
    """A parameter out of its range is a 422 that names it, and the engine is not asked."""
    answer = await client.post(f"/api/v1/mask?{query}", files=PICTURE)
    assert answer.status_code == 422
    assert list(answer.json()) == ["detail"]
    assert query.partition("=")[0] in answer.json()["detail"]


async def test_an_unknown_model_is_answered_with_the_known_ones(client: httpx.AsyncClient) -> None:
    """The caller reads which detectors there are."""
    answer = await client.post("/api/v1/detect?model=scrfd_99g", files=PICTURE)
    assert answer.json()["detail"] == "model: not loaded here; there is fake_detector, fake_spare."


async def test_parameters_that_are_not_ours_are_ignored(client: httpx.AsyncClient) -> None:
    """Clients may add what they like to the query, as caches and proxies do."""
    assert (await client.post("/api/v1/detect?utm_source=x", files=PICTURE)).status_code == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidMedia("broken"), 400),
        (UnsupportedMedia("a video"), 415),
        (MediaTooLarge("heavy"), 413),
        (InvalidOption("odd"), 422),
        (Overloaded("busy", 7), 503),
        (DependencyDown("away", 7), 503),
    ],
)
async def test_domain_errors_become_statuses(
    client: httpx.AsyncClient, engine: FakeEngine, error: Exception, status: int
) -> None:
    """Each error of the domain has its status, and its text reaches the caller."""
    engine.error = error
    answer = await client.post("/api/v1/detect", files=PICTURE)
    assert answer.status_code == status
    assert answer.json() == {"detail": str(error)}
    assert answer.headers.get("retry-after") == ("7" if status == 503 else None)


async def test_a_bug_tells_nothing(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    """An unexpected error is a 500 with a constant text; what it said stays inside."""
    engine.error = RuntimeError("password=hunter2 at /srv/secret")
    with structlog.testing.capture_logs() as lines:
        answer = await client.post("/api/v1/detect", files=PICTURE)
    assert answer.status_code == 500
    assert [(line["event"], line["request_id"]) for line in lines] == [
        ("bug", answer.headers["x-request-id"]),
        ("request", answer.headers["x-request-id"]),
    ]
    assert "RuntimeError" in lines[0]["traceback"]
    assert answer.json() == {"detail": "Internal error. Quote the request id when you report it."}
    assert answer.headers["x-request-id"]


async def test_health_says_ok_only_when_ready(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    """Health is 200 with the published fields, and 503 while the engine is not ready."""
    answer = await client.get("/health", headers={"X-API-Key": ""})
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "model": "fake_detector",
        "model_loaded": True,
        "input_size": [640, 640],
        "supports_landmarks": True,
        "database_enabled": False,
        "database_ready": False,
        "storage_enabled": False,
        "storage_ready": False,
    }
    HealthResponse.model_validate(answer.json())
    engine.is_ready = False
    answer = await client.get("/health")
    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["model_loaded"]) == ("unavailable", False)


async def test_health_answers_head(client: httpx.AsyncClient) -> None:
    """Load balancers may ask with HEAD."""
    assert (await client.head("/health")).status_code == 200
