"""What door one answers."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read by the JSON reader
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Health:
    """What the service stands on, and whether it stands."""

    status: str
    model: str
    model_loaded: bool
    input_size: tuple[int, ...]
    supports_landmarks: bool
    database_enabled: bool
    database_ready: bool
    storage_enabled: bool
    storage_ready: bool
    detail: str | None = None

    @property
    def is_well(self) -> bool:
        """Tell whether a request that is sent now would be answered."""
        return self.status == "ok"


@dataclass(frozen=True, slots=True)
class Point:
    """A place in pixels."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Box:
    """Corners in pixels."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class Size:
    """Sides in pixels."""

    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Relative:
    """A box as fractions of the picture."""

    x_center: float
    y_center: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class FivePoints:
    """Left and right are the picture's."""

    left_eye: Point
    right_eye: Point
    nose: Point
    left_mouth: Point
    right_mouth: Point


@dataclass(frozen=True, slots=True)
class Pose:
    """How the head is turned, in degrees."""

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Attributes:
    """What was asked for of a face; None where it was not, or could not be told."""

    age: int | None = None
    gender: str | None = None
    emotion: str | None = None
    pose: Pose | None = None
    glasses: bool | None = None
    mask: bool | None = None
    quality: float | None = None
    landmarks: tuple[tuple[float, ...], ...] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """A picture, upright."""

    width: int
    height: int
    channels: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """One face of a picture."""

    index: int
    bbox: Box
    confidence: float
    size: Size
    area: float
    center: Point
    relative: Relative
    landmarks: FivePoints | None = None
    attributes: Attributes | None = None


@dataclass(frozen=True, slots=True)
class DetectSummary:
    """All faces of a picture together."""

    face_count: int
    avg_confidence: float
    min_confidence: float
    max_confidence: float
    total_face_area: float
    face_area_ratio: float


@dataclass(frozen=True, slots=True)
class DetectResult:
    """The faces of one picture, best first.

    Attributes:
        processing: model, thresholds and times.
        profiling: measured times and sizes; None where a stage did not run.
    """

    request_id: str
    image_id: str | None
    job_id: str | None
    image: ImageFacts
    detections: tuple[DetectedFace, ...]
    summary: DetectSummary
    processing: Mapping[str, Any]
    profiling: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class MaskedPicture:
    """A picture whose faces cannot be recognised any more.

    Attributes:
        format: jpeg, png or webp.
        model: the detector.
        image_id: where the service keeps pictures.
        job_id: as above.
    """

    data: bytes = field(repr=False)
    format: str
    face_count: int
    model: str
    total_ms: float
    request_id: str | None
    image_id: str | None = None
    job_id: str | None = None


@dataclass(frozen=True, slots=True)
class MaskPreview:
    """A mask as JSON, for the console: all about the detection, and the picture in base64."""

    request_id: str
    image: ImageFacts
    detections: tuple[DetectedFace, ...]
    summary: DetectSummary
    masking: Mapping[str, Any]
    output: Mapping[str, Any] = field(repr=False)
