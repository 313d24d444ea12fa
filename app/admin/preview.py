"""A mask to look at, as JSON; nothing of it is kept."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from app.admin.access import ADMIN_PATH
from app.admin.schemas import MaskResponse
from app.answers import add_storage
from app.pictures import FORM, MaskOutcome, MaskQuery, mask_picture, ms_since

if TYPE_CHECKING:
    from app.admin.access import AdminAccess
    from app.services import Services

PATH = "/test/mask"


def preview_routes(services: Services, access: AdminAccess) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix=ADMIN_PATH, dependencies=[Depends(access.require)])

    @router.post(PATH, openapi_extra=FORM, responses={200: {"model": MaskResponse}})
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
