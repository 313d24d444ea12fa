"""Door one: health, detect and mask, as its clients know them.

key -> limit -> picture -> engine -> kept where pictures are kept -> answer
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from app.answers import add_storage, detect_answer, health_answer
from app.attributes import AttributeNames, wanted_attributes
from app.auth import caller_of, key_check
from app.keeping import Masking, keep
from app.limiting import request_limit
from app.middleware import request_id_of, tell_faces
from app.pictures import (
    FORM,
    Confidence,
    MaskOutcome,
    MaskQuery,
    MaxFaces,
    Model,
    Nms,
    known_model,
    mask_picture,
    ms_since,
    read_picture,
)
from app.schemas import DetectResponse, ErrorResponse, HealthResponse
from pipelines.results import DetectOptions, ImageFormat

if TYPE_CHECKING:
    from app.records.values import Saved
    from app.services import Services

JSON = "application/json"
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": text}
    for status, text in (
        (400, "Not a picture, or a broken form"),
        (401, "Key missing or wrong"),
        (408, "The body did not arrive in time"),
        (413, "Too large"),
        (415, "A type that is not accepted"),
        (422, "A parameter is wrong"),
        (429, "Too many requests; see Retry-After"),
        (503, "Try again later; see Retry-After"),
    )
}


def door_one(services: Services) -> APIRouter:
    """Return the routes of door one over these services."""
    engine, settings = services.engine, services.settings

    router = APIRouter()
    pictures = APIRouter(
        prefix="/api/v1", dependencies=[Depends(key_check(services))], responses=REFUSALS, tags=["pictures"]
    )

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

    @pictures.post(
        "/detect",
        openapi_extra=FORM,
        responses={200: {"model": DetectResponse}},
        dependencies=[Depends(request_limit(services, "detect", settings.detect_rate_limit))],
    )
    async def detect(
        request: Request,
        confidence: Confidence = 0.5,
        nms_threshold: Nms = 0.4,
        max_faces: MaxFaces = 0,
        model: Model = None,
        attributes: AttributeNames = None,
    ) -> Response:
        """Find the faces in a picture, and tell of each what is asked for.

        For instance:

            curl -H "X-API-Key: $KEY" -F "image=@photo.jpg" "$URL/api/v1/detect?confidence=0.6&max_faces=5"
            curl -H "X-API-Key: $KEY" -F "image=@photo.jpg" "$URL/api/v1/detect?attributes=age,landmarks"
        """
        wanted = wanted_attributes(attributes, settings.attributes_disabled)
        options = DetectOptions(confidence, nms_threshold, max_faces, known_model(services, model), wanted)
        data = await read_picture(services, request)
        started = time.perf_counter()
        detection = await engine.detect(data, options)
        tell_faces(request.scope, len(detection.faces))
        answer = detect_answer(detection, request_id_of(request.scope), ms_since(started))
        saved = await keep(services, caller_of(request), data, detection, answer)
        add_storage(answer, saved, ms_since(started))
        return Response(to_json(answer), media_type=JSON)

    @pictures.post(
        "/mask",
        openapi_extra=FORM,
        response_class=Response,
        responses={200: {"content": {f"image/{kind.value}": {} for kind in ImageFormat}}},
        dependencies=[Depends(request_limit(services, "mask", settings.mask_rate_limit))],
    )
    async def mask(request: Request, query: Annotated[MaskQuery, Query()]) -> Response:
        r"""Find the faces in a picture and return it with them made unrecognisable.

        For instance:

            curl -H "X-API-Key: $KEY" -F "image=@photo.jpg" -o masked.webp \
              "$URL/api/v1/mask?method=pixelate&format=webp"
        """
        outcome = await mask_picture(services, request, query)
        tell_faces(request.scope, len(outcome.masked.detection.faces))
        saved = await keep(
            services,
            caller_of(request),
            outcome.data,
            outcome.masked.detection,
            outcome.answer,
            Masking(query.mask, query.encode, outcome.masked),
        )
        return _mask_answer(outcome, saved)

    router.include_router(pictures)
    return router


def _mask_answer(outcome: MaskOutcome, saved: Saved | None) -> Response:
    masked = outcome.masked
    profile = masked.detection.profile
    headers = {
        "X-Face-Count": str(len(masked.detection.faces)),
        "X-Inference-Ms": f"{profile.inference_ms:.2f}",
        "X-Mask-Ms": f"{profile.mask_ms or 0.0:.2f}",
        "X-Encode-Ms": f"{profile.encode_ms or 0.0:.2f}",
        "X-Total-Ms": f"{ms_since(outcome.started):.2f}",
        "X-Model": masked.detection.model,
    }
    if saved is not None:
        headers |= {"X-Image-Id": str(saved.image_id), "X-Job-Id": str(saved.job_id)}
    return Response(masked.data, headers=headers, media_type=f"image/{masked.format.value}")
