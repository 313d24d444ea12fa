"""Pages of clients' keys. What is changed there goes through the admin API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from app.admin.lookup import known, known_id
from app.admin.tiers import memory_of
from app.console.gate import VIEWER
from app.plans import DEFAULT_PLAN, PUBLIC_PLANS, Plans
from app.records.insight import month_of, seconds_used

if TYPE_CHECKING:
    from app.console.rendering import Pages
    from app.services import Services

PER_PAGE = 50


def key_pages(router: APIRouter, pages: Pages, services: Services) -> None:
    """Add the pages to the routes behind the gate."""
    names = sorted({DEFAULT_PLAN, *PUBLIC_PLANS, *services.settings.plans}, key=_default_first)
    plans = Plans(services.settings.plans)

    @router.get("/keys")
    async def keys(request: Request, page: Annotated[int, Query(ge=1, le=10_000)] = 1) -> Response:
        found = await memory_of(services).keys.list(page, PER_PAGE)
        return pages.show(
            "keys.html",
            viewer=request.scope[VIEWER],
            here=request.url.path,
            found=found,
            plans=names,
            are_asked_for=services.settings.api_key_enabled,
        )

    @router.get("/keys/{key_id}")
    async def key(request: Request, key_id: str) -> Response:
        memory = memory_of(services)
        found = known(await memory.keys.get(known_id(key_id, "key")), "key")
        month = month_of()
        used = await seconds_used(memory.database, month)
        return pages.show(
            "key.html",
            viewer=request.scope[VIEWER],
            here=request.url.path,
            key=found,
            plans=names,
            plan=plans.of(found.plan),
            minutes=used.get(found.id, 0.0) / 60,
            month=month,
        )


def _default_first(name: str) -> tuple[bool, str]:
    return name != DEFAULT_PLAN, name
