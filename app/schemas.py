"""The shapes of door one's answers, for the documentation and for those who check them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pipelines.attributes import Emotion, Gender  # noqa: TC001 - pydantic reads the fields' types


class Shape(BaseModel):
    """Fields that are not named here are a mistake."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ErrorResponse(Shape):
    """What went wrong, for a person to read."""

    detail: str


class HealthResponse(Shape):
    """What the service stands on, and whether it stands."""

    status: str
    model: str
    model_loaded: bool
    input_size: tuple[int, int]
    supports_landmarks: bool
    database_enabled: bool
    database_ready: bool
    storage_enabled: bool
    storage_ready: bool
    detail: str | None = Field(default=None, description="What is missing, where something is.")


class ImageShape(Shape):
    """The picture, upright."""

    width: int
    height: int
    channels: int
    size_bytes: int


class Box(Shape):
    """Corners in pixels."""

    x1: float
    y1: float
    x2: float
    y2: float


class Point(Shape):
    """A place in pixels."""

    x: float
    y: float


class Landmarks(Shape):
    """Five points; left and right are the picture's."""

    left_eye: Point
    right_eye: Point
    nose: Point
    left_mouth: Point
    right_mouth: Point


class Size(Shape):
    """Sides in pixels."""

    width: float
    height: float


class Relative(Shape):
    """The box as fractions of the picture."""

    x_center: float = Field(ge=0, le=1)
    y_center: float = Field(ge=0, le=1)
    width: float = Field(ge=0, le=1)
    height: float = Field(ge=0, le=1)


class PoseShape(Shape):
    """How the head is turned, in degrees: right, up and clockwise are positive, as the picture is seen."""

    yaw: float = Field(ge=-180, le=180)
    pitch: float = Field(ge=-90, le=90)
    roll: float = Field(ge=-180, le=180)


class AttributesShape(Shape):
    """What was asked for of the face; null where it could not be told, and gender left out if unsure."""

    age: int | None = Field(default=None, ge=0, le=100)
    gender: Gender | None = None
    emotion: Emotion | None = None
    pose: PoseShape | None = None
    glasses: bool | None = None
    mask: bool | None = None
    quality: float | None = Field(default=None, ge=0, le=1)
    landmarks: list[tuple[float, float]] | None = Field(
        default=None, min_length=106, max_length=106, description="106 points (x, y), 2d106 layout."
    )


class Face(Shape):
    """One face; `attributes` is there if they were asked for."""

    index: int
    bbox: Box
    confidence: float = Field(ge=0, le=1)
    landmarks: Landmarks | None
    size: Size
    area: float
    center: Point
    relative: Relative
    attributes: AttributesShape | None = None


class Summary(Shape):
    """All faces together; zeros where there are none."""

    face_count: int
    avg_confidence: float
    min_confidence: float
    max_confidence: float
    total_face_area: float
    face_area_ratio: float


class Processing(Shape):
    """How the picture was looked at."""

    model: str
    input_size: tuple[int, int]
    confidence_threshold: float
    nms_threshold: float
    inference_ms: float
    total_ms: float


class Profiling(Shape):
    """Measured times and sizes; null where a stage did not run."""

    decode_ms: float
    preprocess_ms: float
    blob_ms: float
    inference_ms: float
    postprocess_ms: float
    nms_ms: float
    mask_ms: float | None
    encode_ms: float | None
    storage_ms: float | None
    total_ms: float
    candidates_before_nms: int
    candidates_after_nms: int
    det_scale: float
    input_resolution: str
    det_resolution: str
    input_bytes: int
    output_bytes: int | None
    input_pixels: int
    model_name: str
    attributes_ms: float | None = None


class DetectResponse(Shape):
    """The faces of one picture, best first."""

    request_id: str
    image_id: str | None
    job_id: str | None
    image: ImageShape
    detections: list[Face]
    summary: Summary
    processing: Processing
    profiling: Profiling
