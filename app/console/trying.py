"""The page where a picture is tried: faces found in it, and hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - as above

from app.admin.origins import own_url
from app.console.gate import VIEWER
from app.records.library_views import list_all_libraries
from pipelines.attributes import Attribute
from pipelines.results import ImageFormat, MaskMethod

if TYPE_CHECKING:
    from app.admin.library_routes import LibraryDesk
    from app.console.rendering import Pages
    from app.libraries.values import Library
    from app.services import Services

#: Libraries to choose from.
MOST_LIBRARIES = 100
#: Pictures to begin with: under `static/samples`, each with what it shows.
SAMPLES = (("astronaut.jpg", "Portrait of an astronaut"),)


def try_pages(router: APIRouter, pages: Pages, services: Services, desk: LibraryDesk | None) -> None:
    """Add the page to the routes behind the gate."""
    settings = services.settings

    @router.get("/try")
    async def try_it(request: Request) -> Response:
        return pages.show(
            "try.html",
            viewer=request.scope[VIEWER],
            here=request.url.path,
            detectors=services.engine.detectors,
            attributes=[each.value for each in Attribute if each not in settings.attributes_disabled],
            methods=[each.value for each in MaskMethod],
            formats=[each.value for each in ImageFormat],
            samples=SAMPLES,
            libraries=await _libraries(services, desk),
            url=own_url(request, settings.public_url),
            most_bytes=settings.max_image_bytes,
            needs_key=settings.api_key_enabled,
        )


async def _libraries(services: Services, desk: LibraryDesk | None) -> list[Library]:
    """Return libraries to look people up in; the newest, where there are many."""
    if desk is None or services.memory is None:
        return []
    return await list_all_libraries(services.memory.database, MOST_LIBRARIES)
