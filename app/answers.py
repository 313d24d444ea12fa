"""Results as door one shows them: plain dicts, because this is written for every picture.

Boxes are clipped to the picture, so that they can be used to cut it, and rounded first: size, area and
centre are those of the box that is shown. Points are where the detector saw them, even outside.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np

from app.attributes import attributes_answer
from app.draining import DRAINING
from app.logs import log_bug
from pipelines.faces import POINT_NAMES

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from app.records.values import Saved
    from app.services import Services
    from pipelines.results import Detection, Profile

PIXEL_DIGITS = 1
AREA_DIGITS = 2
RATIO_DIGITS = 4
SCALE_DIGITS = 6
MS_DIGITS = 2
#: How long a part may take to say that it is there.
PATIENCE_S = 2.0


def detect_answer(
    detection: Detection, request_id: str, total_ms: float, output_bytes: int | None = None
) -> dict[str, Any]:
    """Return the `DetectResponse` of one picture.

    Args:
        detection: what was found.
        request_id: what the request goes by.
        total_ms: the time since the picture's last byte arrived.
        output_bytes: the size of the picture that was made of it.
    """
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
        "profiling": _profiling(detection, profile, total_ms, output_bytes),
    }


def add_storage(answer: dict[str, Any], saved: Saved | None, total_ms: float) -> None:
    """Complete an answer with where it was kept, and with the time that it took until now."""
    if saved is not None:
        answer["image_id"], answer["job_id"] = str(saved.image_id), str(saved.job_id)
        answer["profiling"]["storage_ms"] = round(saved.storage_ms, MS_DIGITS)
    for part in ("processing", "profiling"):
        answer[part]["total_ms"] = round(total_ms, MS_DIGITS)


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
    if detection.attributes is not None:
        for face, told in zip(found, detection.attributes, strict=True):
            face["attributes"] = attributes_answer(told, detection.options.attributes)
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


def _profiling(
    detection: Detection, profile: Profile, total_ms: float, output_bytes: int | None
) -> dict[str, Any]:
    image = detection.image
    times = {
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
        "output_bytes": output_bytes,
        "input_pixels": image.width * image.height,
        "model_name": detection.model,
    }
    if profile.attributes_ms is not None:
        times["attributes_ms"] = round(profile.attributes_ms, MS_DIGITS)
    return times


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, MS_DIGITS)


async def _ask(name: str, question: Awaitable[str | None] | None) -> str | None:
    """Return what is wrong with a part, if there is one; an error or a long silence is wrong as well."""
    if question is None:
        return None
    with anyio.move_on_after(PATIENCE_S):
        try:
            return await question
        except Exception as error:  # noqa: BLE001 (whatever it is, the part is not there)
            log_bug("not ready", error, part=name)
    return f"{name} does not answer"


async def _engine_problem(services: Services) -> str | None:
    return None if await services.engine.ready() else "the detector is not ready"


async def health_answer(services: Services) -> tuple[bool, dict[str, Any]]:
    """Return whether everything that is needed is there, and the `HealthResponse` that says so."""
    spec = services.engine.detectors[0]
    database = services.memory.database if services.memory else None
    objects = services.memory.storage.objects if services.memory and services.memory.storage else None
    engine_problem, database_problem, storage_problem = await asyncio.gather(
        _ask("the detector", _engine_problem(services)),
        _ask("the database", database.problem() if database else None),
        _ask("the object storage", objects.problem() if objects else None),
    )
    draining = DRAINING if services.is_draining else None
    problems = [each for each in (draining, engine_problem, database_problem, storage_problem) if each]
    answer = {
        "status": "unavailable" if problems else "ok",
        "model": spec.name,
        "model_loaded": engine_problem is None,
        "input_size": list(spec.input_size),
        "supports_landmarks": spec.has_points,
        "database_enabled": database is not None,
        "database_ready": database is not None and database_problem is None,
        "storage_enabled": objects is not None,
        "storage_ready": objects is not None and storage_problem is None,
    }
    return not problems, answer | ({"detail": "; ".join(problems)} if problems else {})
