"""Pages of what is kept: images and jobs, lists of both, and one of either."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from app.admin.lookup import known, known_id
from app.admin.object_urls import ObjectUrls
from app.admin.tiers import memory_of, storage_of
from app.console.gate import VIEWER
from app.records.insight import names_of_keys
from pipelines.results import MaskMethod

if TYPE_CHECKING:
    from app.console.rendering import Pages
    from app.services import Services

IMAGES_PER_PAGE = 24
JOBS_PER_PAGE = 25

PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
#: An empty text is what a form sends for "all".
JobType = Literal["", "detect", "mask"]
Method = Literal["", "gaussian", "pixelate", "solid", "elliptical"]


def record_pages(router: APIRouter, pages: Pages, services: Services) -> None:
    """Add the pages to the routes behind the gate."""

    def urls_for(request: Request) -> ObjectUrls:
        return ObjectUrls(storage_of(services).objects, services.settings, request)

    def common(request: Request) -> dict[str, Any]:
        return {"viewer": request.scope[VIEWER], "here": request.url.path}

    async def keys() -> dict[Any, str]:
        return await names_of_keys(memory_of(services).database)

    @router.get("/images")
    async def images(request: Request, page: PageNumber = 1) -> Response:
        reader = storage_of(services).reader
        found = await reader.list_images(page, IMAGES_PER_PAGE)
        return pages.show("images.html", **common(request), found=found, stats=await reader.stats())

    @router.get("/images/{image_id}")
    async def image(request: Request, image_id: str) -> Response:
        reader = storage_of(services).reader
        found = known(await reader.get_image(known_id(image_id, "image")), "image")
        newest = await reader.get_job(found.jobs[0].id) if found.jobs else None
        urls = urls_for(request)
        original, processed = await asyncio.gather(
            urls.url(found.image.original_key), urls.url_or_none(found.image.processed_key)
        )
        return pages.show(
            "image.html",
            **common(request),
            image=found.image,
            jobs=found.jobs,
            original=original,
            processed=processed,
            detections=newest.payload.get("detections", []) if newest else [],
            keys=await keys(),
        )

    @router.get("/jobs")
    async def jobs(
        request: Request, page: PageNumber = 1, job_type: JobType = "", method: Method = ""
    ) -> Response:
        found = await storage_of(services).reader.list_jobs(
            page, JOBS_PER_PAGE, job_type or None, method or None
        )
        chosen = {"job_type": job_type, "method": method}
        query = urlencode({name: value for name, value in chosen.items() if value})
        return pages.show(
            "jobs.html",
            **common(request),
            found=found,
            chosen=chosen,
            query=query + "&" if query else "",
            methods=[each.value for each in MaskMethod],
            keys=await keys(),
        )

    @router.get("/jobs/{job_id}")
    async def job(request: Request, job_id: str) -> Response:
        reader = storage_of(services).reader
        found = known(await reader.get_job(known_id(job_id, "job")), "job")
        of = known(await reader.get_image(found.job.image_id), "image")
        urls = urls_for(request)
        original, processed = await asyncio.gather(
            urls.url(of.image.original_key), urls.url_or_none(found.job.processed_key)
        )
        return pages.show(
            "job.html",
            **common(request),
            job=found.job,
            payload=found.payload,
            image=of.image,
            original=original,
            processed=processed,
            detections=found.payload.get("detections", []),
            keys=await keys(),
        )
