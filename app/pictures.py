"""What routes that take a picture share: the form, the query, the limits of both, and a masked picture.

The picture is read in the handler and not declared to the framework, so that whoever asks is checked before a
byte of the body is read; what the documentation shows of the body is written out in `FORM`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query
from pydantic import BaseModel

from app.answers import detect_answer
from app.middleware import request_id_of
from app.uploads import read_image
from pipelines.errors import InvalidOption
from pipelines.results import DetectOptions, EncodeOptions, ImageFormat, MaskMethod, MaskOptions

if TYPE_CHECKING:
    from starlette.requests import Request

    from app.services import Services
    from pipelines.results import MaskedImage

FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {
                            "type": "string",
                            "format": "binary",
                            "description": "The picture: jpg, png, webp, bmp or heic.",
                        }
                    },
                }
            }
        },
    }
}

Confidence = Annotated[float, Query(ge=0, le=1, allow_inf_nan=False, description="Minimum confidence.")]
Nms = Annotated[float, Query(ge=0, le=1, allow_inf_nan=False, description="IoU above which boxes are one.")]
MaxFaces = Annotated[int, Query(ge=0, le=2**31 - 1, description="At most this many faces; 0 means no limit.")]
Model = Annotated[
    str | None, Query(max_length=64, description="A loaded detector; the default one if not given.")
]


class MaskQuery(BaseModel):
    """What may be asked of a mask."""

    confidence: Confidence = 0.5
    nms_threshold: Nms = 0.4
    max_faces: MaxFaces = 0
    method: MaskMethod = MaskMethod.GAUSSIAN
    strength: Annotated[int, Query(ge=1, le=10_000, description="Blur or block size.")] = 199
    padding: Annotated[float, Query(ge=0, le=5, allow_inf_nan=False)] = 0.15
    format: ImageFormat = ImageFormat.JPEG
    quality: Annotated[int, Query(ge=1, le=100)] = 95
    model: Model = None

    @property
    def mask(self) -> MaskOptions:
        """Return how to hide the faces."""
        return MaskOptions(self.method, self.strength, self.padding)

    @property
    def encode(self) -> EncodeOptions:
        """Return how to write the picture."""
        return EncodeOptions(self.format, self.quality)


@dataclass(frozen=True, slots=True)
class MaskOutcome:
    """A picture that was masked.

    Attributes:
        data: the picture as it came.
        masked: what came of it.
        answer: the same in the fields of a `DetectResponse`.
        started: when its last byte had arrived, by the performance counter.
    """

    data: bytes
    masked: MaskedImage
    answer: dict[str, Any]
    started: float


async def mask_picture(services: Services, request: Request, query: MaskQuery) -> MaskOutcome:
    """Read the picture in a request and hide its faces."""
    options = DetectOptions(
        query.confidence, query.nms_threshold, query.max_faces, known_model(services, query.model)
    )
    data = await read_picture(services, request)
    started = time.perf_counter()
    masked = await services.engine.mask(data, options, query.mask, query.encode)
    answer = detect_answer(
        masked.detection, request_id_of(request.scope), ms_since(started), len(masked.data)
    )
    return MaskOutcome(data, masked, answer, started)


async def read_picture(services: Services, request: Request) -> bytes:
    """Return the picture in a request's body."""
    content_type = request.headers.get("content-type", "")
    return await read_image(content_type, request.receive, services.settings.max_image_bytes)


def known_model(services: Services, model: str | None) -> str | None:
    """Return the detector's name if it is one that is loaded.

    Raises:
        InvalidOption: it is not.
    """
    names = [spec.name for spec in services.engine.detectors]
    if model is not None and model not in names:
        message = f"model: not loaded here; there is {', '.join(names)}."
        raise InvalidOption(message)
    return model


def ms_since(started: float) -> float:
    """Return how many milliseconds have passed."""
    return (time.perf_counter() - started) * 1e3
