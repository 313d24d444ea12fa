"""Results as door one shows them: plain dicts, because this is written for every picture.

Boxes are clipped to the picture, so that they can be used to cut it, and rounded first: size, area and
centre are those of the box that is shown. Points are where the detector saw them, even outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import numpy as np

from app.logs import log_bug
from pipelines.faces import POINT_NAMES

if TYPE_CHECKING:
    from app.services import Dependency, Services
    from pipelines.results import Detection, Profile

PIXEL_DIGITS = 1
AREA_DIGITS = 2
RATIO_DIGITS = 4
SCALE_DIGITS = 6
MS_DIGITS = 2
#: How long a part may take to say that it is there.
PATIENCE_S = 2.0


def detect_answer(detection: Detection, request_id: str, total_ms: float) -> dict[str, Any]:
    """Return the `DetectResponse` of one picture; `total_ms` is the time since its last byte arrived."""
    image, options, profile = detection.image, detection.options, detection.profile
    detections = _detections(detection)
    return {
        "request_id": request_id,
        "image_id": None,
        "job_id": None,
        "image": {
            "width": image.width,
            "height": image.height,
            "channels": image.channels,
            "size_bytes": image.size_bytes,
        },
        "detections": detections,
        "summary": _summary(detections, image.width * image.height),
        "processing": {
            "model": detection.model,
            "input_size": list(detection.input_size),
            "confidence_threshold": options.confidence,
            "nms_threshold": options.nms_threshold,
            "inference_ms": round(profile.inference_ms, MS_DIGITS),
            "total_ms": round(total_ms, MS_DIGITS),
        },
        "profiling": _profiling(detection, profile, total_ms),
    }


def _detections(detection: Detection) -> list[dict[str, Any]]:
    faces = detection.faces
    width, height = detection.image.width, detection.image.height
    edges = np.array([width, height, width, height], np.float64)
    boxes = np.clip(faces.boxes.astype(np.float64), 0, edges).round(PIXEL_DIGITS).tolist()
    scores = faces.scores.astype(np.float64).round(RATIO_DIGITS).tolist()
    points = (
        [None] * len(faces) if faces.points is None else faces.points.astype(np.float64).round(PIXEL_DIGITS)
    )
    found = []
    for index, ((x1, y1, x2, y2), score, five) in enumerate(zip(boxes, scores, points, strict=True)):
        box_width, box_height = x2 - x1, y2 - y1
        center_x, center_y = (x1 + x2) / 2, (y1 + y2) / 2
        found.append(
            {
                "index": index,
                "bbox": {"x1": x1, "y1": y1, "x2": x2, "y2": y2},
                "confidence": score,
                "landmarks": None if five is None else _landmarks(five.tolist()),
                "size": {"width": round(box_width, PIXEL_DIGITS), "height": round(box_height, PIXEL_DIGITS)},
                "area": round(box_width * box_height, AREA_DIGITS),
                "center": {"x": round(center_x, AREA_DIGITS), "y": round(center_y, AREA_DIGITS)},
                "relative": {
                    "x_center": round(center_x / width, RATIO_DIGITS),
                    "y_center": round(center_y / height, RATIO_DIGITS),
                    "width": round(box_width / width, RATIO_DIGITS),
                    "height": round(box_height / height, RATIO_DIGITS),
                },
            }
        )
    return found


def _landmarks(five: list[list[float]]) -> dict[str, dict[str, float]]:
    return {name: {"x": x, "y": y} for name, (x, y) in zip(POINT_NAMES, five, strict=True)}


def _summary(detections: list[dict[str, Any]], image_area: int) -> dict[str, float]:
    scores = [found["confidence"] for found in detections]
    area = sum(found["area"] for found in detections)
    return {
        "face_count": len(scores),
        "avg_confidence": round(sum(scores) / len(scores), RATIO_DIGITS) if scores else 0.0,
        "min_confidence": min(scores, default=0.0),
        "max_confidence": max(scores, default=0.0),
        "total_face_area": round(float(area), AREA_DIGITS),
        "face_area_ratio": round(area / image_area, RATIO_DIGITS),
    }


def _profiling(detection: Detection, profile: Profile, total_ms: float) -> dict[str, Any]:
    image = detection.image
    return {
        "decode_ms": round(profile.decode_ms, MS_DIGITS),
        "preprocess_ms": round(profile.preprocess_ms, MS_DIGITS),
        "blob_ms": round(profile.blob_ms, MS_DIGITS),
        "inference_ms": round(profile.inference_ms, MS_DIGITS),
        "postprocess_ms": round(profile.postprocess_ms, MS_DIGITS),
        "nms_ms": round(profile.nms_ms, MS_DIGITS),
        "mask_ms": _ms(profile.mask_ms),
        "encode_ms": _ms(profile.encode_ms),
        "storage_ms": None,
        "total_ms": round(total_ms, MS_DIGITS),
        "candidates_before_nms": profile.candidates_before_nms,
        "candidates_after_nms": profile.candidates_after_nms,
        "det_scale": round(profile.det_scale, SCALE_DIGITS),
        "input_resolution": f"{image.width}x{image.height}",
        "det_resolution": f"{profile.det_size[0]}x{profile.det_size[1]}",
        "input_bytes": image.size_bytes,
        "output_bytes": None,
        "input_pixels": image.width * image.height,
        "model_name": detection.model,
    }


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, MS_DIGITS)


async def _answers(part: Dependency) -> bool:
    """Ask a part, and take an error or a long silence for a no."""
    with anyio.move_on_after(PATIENCE_S):
        try:
            return await part.ready()
        except Exception as error:  # noqa: BLE001 (whatever it is, the part is not there)
            log_bug("not ready", error, part=type(part).__name__)
    return False


async def health_answer(services: Services) -> tuple[bool, dict[str, Any]]:
    """Return whether everything that is needed is there, and the `HealthResponse` that says so."""
    spec = services.engine.detectors[0]
    model = await _answers(services.engine)
    database = services.database is not None and await _answers(services.database)
    storage = services.storage is not None and await _answers(services.storage)
    ready = model and (database or services.database is None) and (storage or services.storage is None)
    return ready, {
        "status": "ok" if ready else "unavailable",
        "model": spec.name,
        "model_loaded": model,
        "input_size": list(spec.input_size),
        "supports_landmarks": spec.has_points,
        "database_enabled": services.database is not None,
        "database_ready": database,
        "storage_enabled": services.storage is not None,
        "storage_ready": storage,
    }
