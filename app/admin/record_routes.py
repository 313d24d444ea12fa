"""What is kept: totals, images, jobs, and the pictures themselves behind addresses that expire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.responses import RedirectResponse

from app.admin.access import ADMIN_PATH, administrator_of
from app.admin.lookup import known, known_id
from app.admin.object_urls import ObjectUrls
from app.admin.schemas import (
    JobDetailResponse,
    JobResponse,
    PaginatedResponse,
    StatsResponse,
    StoredImageDetailResponse,
    StoredImageResponse,
)
from app.admin.tiers import storage_of
from app.records.paging import MOST_PER_PAGE
from pipelines.results import MaskMethod  # noqa: TC001 - as above

if TYPE_CHECKING:
    from app.admin.access import AdminAccess
    from app.records.values import StoredImage, StoredJob
    from app.services import Services

Page = Annotated[int, Query(ge=1, le=2**53, description="Which page, the newest first.")]
PerPage = Annotated[int, Query(ge=1, le=MOST_PER_PAGE, description="How many on a page.")]


def record_routes(services: Services, access: AdminAccess) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=ADMIN_PATH, dependencies=[Depends(access.require)])

    def urls_for(request: Request) -> ObjectUrls:
        return ObjectUrls(storage_of(services).objects, services.settings, request)

    @router.get("/stats")
    async def stats() -> StatsResponse:
        """Tell the totals over images and jobs.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/stats"
        """
        totals = await storage_of(services).reader.stats()
        return StatsResponse(
            total_images=totals.images,
            total_jobs=totals.jobs,
            total_faces=totals.faces,
            jobs_by_type=dict(totals.jobs_by_type),
            jobs_by_method=dict(totals.jobs_by_method),
            image_bytes=totals.image_bytes,
            original_bytes=totals.original_bytes,
            processed_bytes=totals.processed_bytes,
            cleanup_pending=totals.cleanup_pending,
        )

    @router.get("/images")
    async def list_images(
        request: Request, page: Page = 1, per_page: PerPage = 20
    ) -> PaginatedResponse[StoredImageResponse]:
        """List the images, newest first.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/images?page=1&per_page=20"
        """
        found = await storage_of(services).reader.list_images(page, per_page)
        urls = urls_for(request)
        items = await asyncio.gather(*(_image(each, urls) for each in found.items))
        return PaginatedResponse(
            items=items, total=found.total, page=page, per_page=per_page, pages=found.pages
        )

    @router.get("/images/{image_id}")
    async def get_image(request: Request, image_id: str) -> StoredImageDetailResponse:
        """Show an image with its jobs.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/images/$IMAGE_ID"
        """
        found = known(await storage_of(services).reader.get_image(known_id(image_id, "image")), "image")
        urls = urls_for(request)
        image = await _image(found.image, urls)
        jobs = await asyncio.gather(*(_job(each, urls) for each in found.jobs))
        return StoredImageDetailResponse(**image.model_dump(), jobs=jobs)

    @router.delete("/images/{image_id}", status_code=204)
    async def delete_image(request: Request, image_id: str) -> None:
        """Remove an image with all that was made of it.

        What cannot be removed from the storage now is remembered and tried again.

        For instance:

            curl -u "admin:$PASSWORD" -X DELETE "$URL/api/v1/admin/images/$IMAGE_ID"
        """
        was_there = await storage_of(services).deleter.delete_image(
            known_id(image_id, "image"), administrator_of(request)
        )
        known(was_there or None, "image")

    @router.get("/images/{image_id}/download", status_code=302, response_class=RedirectResponse)
    async def download_image(request: Request, image_id: str) -> Response:
        """Lead to the original picture.

        For instance:

            curl -u "admin:$PASSWORD" -L -o original "$URL/api/v1/admin/images/$IMAGE_ID/download"
        """
        found = known(await storage_of(services).reader.get_image(known_id(image_id, "image")), "image")
        return RedirectResponse(await urls_for(request).url(found.image.original_key), 302)

    @router.get("/jobs")
    async def list_jobs(
        request: Request,
        page: Page = 1,
        per_page: PerPage = 20,
        job_type: Literal["detect", "mask"] | None = None,
        method: MaskMethod | None = None,
    ) -> PaginatedResponse[JobResponse]:
        """List the jobs, newest first, of one type or method where those are given.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/jobs?job_type=mask&method=gaussian"
        """
        reader = storage_of(services).reader
        found = await reader.list_jobs(page, per_page, job_type, method.value if method else None)
        urls = urls_for(request)
        items = await asyncio.gather(*(_job(each, urls) for each in found.items))
        return PaginatedResponse(
            items=items, total=found.total, page=page, per_page=per_page, pages=found.pages
        )

    @router.get("/jobs/{job_id}")
    async def get_job(request: Request, job_id: str) -> JobDetailResponse:
        """Show a job with what was answered.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/jobs/$JOB_ID"
        """
        found = known(await storage_of(services).reader.get_job(known_id(job_id, "job")), "job")
        job = await _job(found.job, urls_for(request))
        return JobDetailResponse(**job.model_dump(), payload=dict(found.payload))

    @router.get("/jobs/{job_id}/download", status_code=302, response_class=RedirectResponse)
    async def download_job(request: Request, job_id: str) -> Response:
        """Lead to the picture that a job made.

        For instance:

            curl -u "admin:$PASSWORD" -L -o masked "$URL/api/v1/admin/jobs/$JOB_ID/download"
        """
        found = known(await storage_of(services).reader.get_job(known_id(job_id, "job")), "job")
        key = known(found.job.processed_key, "processed picture for a job")
        return RedirectResponse(await urls_for(request).url(key), 302)

    return router


async def _image(image: StoredImage, urls: ObjectUrls) -> StoredImageResponse:
    return StoredImageResponse(
        id=image.id,
        original_url=await urls.url(image.original_key),
        processed_url=await urls.url_or_none(image.processed_key),
        content_hash=image.content_hash,
        format=image.format,
        width=image.width,
        height=image.height,
        size_bytes=image.size_bytes,
        job_count=image.job_count,
        api_key_id=image.api_key_id,
        created_at=image.created_at,
    )


async def _job(job: StoredJob, urls: ObjectUrls) -> JobResponse:
    return JobResponse(
        id=job.id,
        image_id=job.image_id,
        job_type=job.job_type,
        method=job.method,
        options=dict(job.options),
        model=job.model,
        face_count=job.face_count,
        processed_url=await urls.url_or_none(job.processed_key),
        processed_bytes=job.processed_bytes,
        inference_ms=job.inference_ms,
        total_ms=job.total_ms,
        request_id=job.request_id,
        api_key_id=job.api_key_id,
        created_at=job.created_at,
    )
