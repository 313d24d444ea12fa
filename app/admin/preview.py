"""Detections and masks to look at, as JSON; nothing of them is kept."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from app.admin.access import ADMIN_PATH
from app.admin.schemas import MaskResponse
from app.answers import add_storage, detect_answer
from app.attributes import AttributeNames, wanted_attributes
from app.middleware import request_id_of
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
from app.schemas import DetectResponse
from pipelines.results import DetectOptions

if TYPE_CHECKING:
    from app.admin.access import AdminAccess
    from app.services import Services

DETECT_PATH = "/test/detect"
MASK_PATH = "/test/mask"


def preview_routes(services: Services, access: AdminAccess) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=ADMIN_PATH, dependencies=[Depends(access.require)])

    @router.post(DETECT_PATH, openapi_extra=FORM, responses={200: {"model": DetectResponse}})
    async def preview_detect(
        request: Request,
        confidence: Confidence = 0.5,
        nms_threshold: Nms = 0.4,
        max_faces: MaxFaces = 0,
        model: Model = None,
        attributes: AttributeNames = None,
    ) -> Response:
        """Find the faces in a picture, as `/api/v1/detect` does.

        For instance:

            curl -u "admin:$PASSWORD" -F "image=@photo.jpg" "$URL/api/v1/admin/test/detect?attributes=age"
        """
        wanted = wanted_attributes(attributes, services.settings.attributes_disabled)
        options = DetectOptions(confidence, nms_threshold, max_faces, known_model(services, model), wanted)
        data = await read_picture(services, request)
        started = time.perf_counter()
        detection = await services.engine.detect(data, options)
        answer = detect_answer(detection, request_id_of(request.scope), ms_since(started))
        return Response(to_json(answer), media_type="application/json")

    @router.post(MASK_PATH, openapi_extra=FORM, responses={200: {"model": MaskResponse}})
    async def preview_mask(request: Request, query: Annotated[MaskQuery, Query()]) -> Response:
        """Hide the faces in a picture, and show all about it at once.

        For instance:

            curl -u "admin:$PASSWORD" -F "image=@photo.jpg" "$URL/api/v1/admin/test/mask?method=pixelate"
        """
        outcome = await mask_picture(services, request, query)
        # On a thread: the picture may have many megabytes.
        return Response(await asyncio.to_thread(_rendered, outcome, query), media_type="application/json")

    return router


def _rendered(outcome: MaskOutcome, query: MaskQuery) -> bytes:
    masked = outcome.masked
    add_storage(outcome.answer, None, ms_since(outcome.started))
    return to_json(
        {
            **outcome.answer,
            "masking": {
                "method": query.method.value,
                "strength": query.strength,
                "padding": query.padding,
                "regions_masked": masked.regions,
            },
            "output": {
                "format": masked.format.value,
                "quality": query.quality,
                "size_bytes": len(masked.data),
                "image_base64": base64.b64encode(masked.data).decode(),
            },
        }
    )
