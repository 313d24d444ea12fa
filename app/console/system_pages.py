"""Pages of what the service is made of, and of what administrators did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from app.admin.lookup import known_id
from app.admin.system import read_system
from app.admin.tiers import memory_of
from app.console.gate import VIEWER

if TYPE_CHECKING:
    from app.console.rendering import Pages
    from app.fleet import Fleet
    from app.services import Services

ENTRIES_PER_PAGE = 50


def system_pages(router: APIRouter, pages: Pages, services: Services, fleet: Fleet | None) -> None:
    """Add the pages to the routes behind the gate."""

    @router.get("/system")
    async def system(request: Request) -> Response:
        storage = services.memory.storage if services.memory else None
        return pages.show(
            "system.html",
            viewer=request.scope[VIEWER],
            here=request.url.path,
            system=await read_system(services, fleet),
            stats=await storage.reader.stats() if storage else None,
        )

    @router.get("/audit")
    async def audit(request: Request, before: Annotated[str | None, Query(max_length=36)] = None) -> Response:
        border = None if before is None else known_id(before, "entry")
        entries = await memory_of(services).audit.list(ENTRIES_PER_PAGE + 1, border)
        return pages.show(
            "audit.html",
            viewer=request.scope[VIEWER],
            here=request.url.path,
            entries=entries[:ENTRIES_PER_PAGE],
            following=entries[ENTRIES_PER_PAGE - 1].id if len(entries) > ENTRIES_PER_PAGE else None,
            is_first=before is None,
        )
