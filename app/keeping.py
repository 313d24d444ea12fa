"""Keep what was asked and answered; the answer gets the identifiers under which it is found again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from app.db.ids import parse_id
from app.records.values import NewImage, NewJob

if TYPE_CHECKING:
    from app.keys import KeyIdentity
    from app.records.values import Saved
    from app.services import Services
    from pipelines.results import Detection, EncodeOptions, MaskedImage, MaskOptions

#: The parts of an answer that a job keeps; the others are columns of their own.
KEPT_PARTS = ("image", "detections", "summary", "processing", "profiling")


@dataclass(frozen=True, slots=True)
class Masking:
    """What was asked of a mask, and the picture that came of it."""

    options: MaskOptions
    encode: EncodeOptions
    masked: MaskedImage


async def keep(
    services: Services,
    caller: KeyIdentity,
    data: bytes,
    detection: Detection,
    answer: dict[str, Any],
    masking: Masking | None = None,
) -> Saved | None:
    """Return under which identifiers the request is safe, or None where pictures are not kept.

    Raises:
        Unavailable: it could not be kept, and nothing of it was.
    """
    storage = services.memory.storage if services.memory else None
    if storage is None:
        return None
    image = detection.image
    return await storage.writer.save(
        NewImage(data, image.format, image.width, image.height), _job(caller, detection, answer, masking)
    )


def _job(
    caller: KeyIdentity, detection: Detection, answer: dict[str, Any], masking: Masking | None
) -> NewJob:
    options = asdict(detection.options)
    if masking is not None:
        options |= {**asdict(masking.options), **asdict(masking.encode)}
    options = {
        name: sorted(value) if isinstance(value, frozenset) else value for name, value in options.items()
    }
    return NewJob(
        job_type="detect" if masking is None else "mask",
        options=options,
        model=detection.model,
        face_count=len(detection.faces),
        payload={part: answer[part] for part in KEPT_PARTS},
        inference_ms=answer["processing"]["inference_ms"],
        total_ms=answer["processing"]["total_ms"],
        request_id=answer["request_id"],
        method=None if masking is None else masking.options.method.value,
        processed=None if masking is None else masking.masked.data,
        processed_format=None if masking is None else masking.masked.format.value,
        api_key_id=parse_id(caller.id),
    )
