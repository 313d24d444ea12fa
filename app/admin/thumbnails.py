"""Small pictures of what is kept, for lists: made when they are asked for, and kept nowhere.

A small copy that outlives its original would be a face that was said to be deleted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import cv2
import numpy as np
from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.admin.access import ADMIN_PATH
from app.admin.lookup import known, known_id
from app.admin.tiers import storage_of
from app.errors import NotFound
from app.storage.port import ObjectMissing
from pipelines.decode import decode_picture, reduction_for
from pipelines.encode import encode_picture
from pipelines.probe import probe_picture
from pipelines.results import EncodeOptions, ImageFormat

if TYPE_CHECKING:
    from app.admin.access import AdminAccess
    from app.persistence import Storage
    from app.services import Services

#: The longer side.
SIDE_PX = 400
#: Pictures that are made small at once; each is in memory meanwhile.
AT_ONCE = 2
_AS = EncodeOptions(ImageFormat.WEBP, 78)


def thumbnail_routes(services: Services, access: AdminAccess) -> APIRouter:
    """Return the routes."""
    router = APIRouter(
        prefix=ADMIN_PATH, dependencies=[Depends(access.require)], default_response_class=Response
    )
    gate = asyncio.Semaphore(AT_ONCE)

    async def small(key: str) -> Response:
        async with gate:
            data = await _read(storage_of(services), key)
            made = await asyncio.to_thread(thumbnail, data)
        return Response(made, media_type="image/webp")

    @router.get("/images/{image_id}/thumbnail")
    async def image_thumbnail(image_id: str) -> Response:
        """Show an image in small.

        For instance:

            curl -u "admin:$PASSWORD" -o small.webp "$URL/api/v1/admin/images/$IMAGE_ID/thumbnail"
        """
        found = known(await storage_of(services).reader.get_image(known_id(image_id, "image")), "image")
        return await small(found.image.original_key)

    @router.get("/jobs/{job_id}/thumbnail")
    async def job_thumbnail(job_id: str) -> Response:
        """Show the picture that a job made in small.

        For instance:

            curl -u "admin:$PASSWORD" -o small.webp "$URL/api/v1/admin/jobs/$JOB_ID/thumbnail"
        """
        found = known(await storage_of(services).reader.get_job(known_id(job_id, "job")), "job")
        return await small(known(found.job.processed_key, "processed picture for a job"))

    return router


def thumbnail(data: bytes) -> bytes:
    """Return a picture made small, as WebP without any metadata."""
    header = probe_picture(data)
    width, height = header.upright_size
    scale = min(1.0, SIDE_PX / max(width, height))
    wanted = (max(1, round(width * scale)), max(1, round(height * scale)))
    pixels = decode_picture(data, header, reduction_for(header, wanted))
    if pixels.shape[:2] != (wanted[1], wanted[0]):
        pixels = np.asarray(cv2.resize(pixels, wanted, interpolation=cv2.INTER_AREA), np.uint8)
    return encode_picture(pixels, _AS)


async def _read(storage: Storage, key: str) -> bytes:
    try:
        return b"".join([piece async for piece in storage.objects.get(key)])
    except ObjectMissing:
        message = "This picture is not kept any more."
        raise NotFound(message) from None
