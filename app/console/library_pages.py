"""Pages of libraries: everybody's, one with its people, and one of those."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from app.admin.library_routes import desk_of, library_of
from app.admin.lookup import known_id
from app.admin.tiers import memory_of
from app.console.gate import VIEWER
from app.libraries.values import face_text
from app.records.insight import names_of_keys
from app.records.library_views import list_all_libraries

if TYPE_CHECKING:
    from app.admin.library_routes import LibraryDesk
    from app.console.rendering import Pages
    from app.services import Services

PER_PAGE = 25
PEOPLE_PER_PAGE = 50


def library_pages(router: APIRouter, pages: Pages, services: Services, desk: LibraryDesk | None) -> None:
    """Add the pages to the routes behind the gate."""

    async def common(request: Request) -> dict[str, Any]:
        keys = await names_of_keys(memory_of(services).database)
        return {"viewer": request.scope[VIEWER], "here": request.url.path, "keys": keys}

    @router.get("/libraries")
    async def libraries(
        request: Request, before: Annotated[str | None, Query(max_length=36)] = None
    ) -> Response:
        desk_of(desk)
        border = None if before is None else known_id(before, "library")
        found = await list_all_libraries(memory_of(services).database, PER_PAGE + 1, border)
        return pages.show(
            "libraries.html",
            **await common(request),
            libraries=found[:PER_PAGE],
            following=found[PER_PAGE - 1].id if len(found) > PER_PAGE else None,
            is_first=before is None,
        )

    @router.get("/libraries/{library_id}")
    async def library(
        request: Request, library_id: str, cursor: Annotated[str | None, Query(max_length=512)] = None
    ) -> Response:
        store = desk_of(desk).libraries.store
        found = await library_of(services, library_id)
        people, following = await store.persons(found.owner, found.handle, PEOPLE_PER_PAGE, cursor)
        return pages.show(
            "library.html",
            **await common(request),
            library=found,
            people=people,
            following=following,
            is_first=cursor is None,
        )

    @router.get("/libraries/{library_id}/people/{person_id}")
    async def person(request: Request, library_id: str, person_id: str) -> Response:
        store = desk_of(desk).libraries.store
        found = await library_of(services, library_id)
        somebody, faces = await store.person(found.owner, found.handle, person_id)
        return pages.show(
            "person.html",
            **await common(request),
            library=found,
            person=somebody,
            faces=[(face_text(each.id), each) for each in faces],
        )
