"""Door one: health, detect and mask, as its clients know them.

The picture is read in the handler and not declared to the framework, so that the key is checked before a
byte of the body is read; what the documentation shows of the body is written out in `FORM`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from app.answers import detect_answer, health_answer
from app.auth import key_check
from app.middleware import request_id_of
from app.schemas import DetectResponse, ErrorResponse, HealthResponse
from app.uploads import read_image
from pipelines.errors import InvalidOption
from pipelines.results import DetectOptions, EncodeOptions, ImageFormat, MaskMethod, MaskOptions

if TYPE_CHECKING:
    from app.services import Services

JSON = "application/json"
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
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": text}
    for status, text in (
        (400, "Not a picture, or a broken form"),
        (401, "Key missing or wrong"),
        (408, "The body did not arrive in time"),
        (413, "Too large"),
        (415, "A type that is not accepted"),
        (422, "A parameter is wrong"),
        (503, "Try again later; see Retry-After"),
    )
}

Confidence = Annotated[float, Query(ge=0, le=1, allow_inf_nan=False, description="Minimum confidence.")]
Nms = Annotated[float, Query(ge=0, le=1, allow_inf_nan=False, description="IoU above which boxes are one.")]
MaxFaces = Annotated[int, Query(ge=0, le=2**31 - 1, description="At most this many faces; 0 means no limit.")]
Model = Annotated[
    str | None, Query(max_length=64, description="A loaded detector; the default one if not given.")
]


def door_one(services: Services) -> APIRouter:
    """Return the routes of door one over these services."""
    engine, settings = services.engine, services.settings
    names = [spec.name for spec in engine.detectors]

    router = APIRouter()
    pictures = APIRouter(
        prefix="/api/v1", dependencies=[Depends(key_check(services))], responses=REFUSALS, tags=["pictures"]
    )

    def known(model: str | None) -> str | None:
        if model is not None and model not in names:
            message = f"model: not loaded here; there is {', '.join(names)}."
            raise InvalidOption(message)
        return model

    async def picture(request: Request) -> bytes:
        content_type = request.headers.get("content-type", "")
        return await read_image(content_type, request.receive, settings.max_image_bytes)

    @router.get("/health", responses={200: {"model": HealthResponse}, 503: {"model": HealthResponse}})
    async def health() -> Response:
        """Tell whether the service can answer, and with which detector.

        For instance:

            curl $URL/health
        """
        ready, answer = await health_answer(services)
        return Response(to_json(answer), 200 if ready else 503, media_type=JSON)

    # Load balancers ask with HEAD.
    router.add_api_route("/health", health, methods=["HEAD"], include_in_schema=False)

    @pictures.post("/detect", openapi_extra=FORM, responses={200: {"model": DetectResponse}})
    async def detect(
        request: Request,
        confidence: Confidence = 0.5,
        nms_threshold: Nms = 0.4,
        max_faces: MaxFaces = 0,
        model: Model = None,
    ) -> Response:
        """Find the faces in a picture.

        For instance:

            curl -H "X-API-Key: $KEY" -F "image=@photo.jpg" "$URL/api/v1/detect?confidence=0.6&max_faces=5"
        """
        options = DetectOptions(confidence, nms_threshold, max_faces, known(model))
        data = await picture(request)
        started = time.perf_counter()
        detection = await engine.detect(data, options)
        answer = detect_answer(detection, request_id_of(request.scope), _ms_since(started))
        return Response(to_json(answer), media_type=JSON)

    @pictures.post(
        "/mask",
        openapi_extra=FORM,
        response_class=Response,
        responses={200: {"content": {f"image/{kind.value}": {} for kind in ImageFormat}}},
    )
    async def mask(  # noqa: PLR0913 (the query has this many parameters)
        request: Request,
        *,
        confidence: Confidence = 0.5,
        nms_threshold: Nms = 0.4,
        max_faces: MaxFaces = 0,
        method: MaskMethod = MaskMethod.GAUSSIAN,
        strength: Annotated[int, Query(ge=1, le=10_000, description="Blur or block size.")] = 199,
        padding: Annotated[float, Query(ge=0, le=5, allow_inf_nan=False)] = 0.15,
        format: ImageFormat = ImageFormat.JPEG,  # noqa: A002 (the query's own name)
        quality: Annotated[int, Query(ge=1, le=100)] = 95,
        model: Model = None,
    ) -> Response:
        r"""Find the faces in a picture and return it with them made unrecognisable.

        For instance:

            curl -H "X-API-Key: $KEY" -F "image=@photo.jpg" -o masked.webp \
              "$URL/api/v1/mask?method=pixelate&format=webp"
        """
        options = DetectOptions(confidence, nms_threshold, max_faces, known(model))
        data = await picture(request)
        started = time.perf_counter()
        masked = await engine.mask(
            data, options, MaskOptions(method, strength, padding), EncodeOptions(format, quality)
        )
        profile = masked.detection.profile
        headers = {
            "X-Face-Count": str(len(masked.detection.faces)),
            "X-Inference-Ms": f"{profile.inference_ms:.2f}",
            "X-Mask-Ms": f"{profile.mask_ms or 0.0:.2f}",
            "X-Encode-Ms": f"{profile.encode_ms or 0.0:.2f}",
            "X-Total-Ms": f"{_ms_since(started):.2f}",
            "X-Model": masked.detection.model,
        }
        return Response(masked.data, headers=headers, media_type=f"image/{masked.format.value}")

    router.include_router(pictures)
    return router


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1e3
