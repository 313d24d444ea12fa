"""The console, put together: its files, the login, and the pages behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends

from app.admin.access import AdminAccess
from app.console.assets import FOLDER, LastingFiles, assets_path
from app.console.gate import gate_for, page_route
from app.console.key_pages import key_pages
from app.console.library_pages import library_pages
from app.console.login import login_pages
from app.console.overview_page import overview_page
from app.console.record_pages import record_pages
from app.console.rendering import Pages
from app.console.system_pages import system_pages
from app.console.task_pages import task_pages
from app.console.trying import try_pages

if TYPE_CHECKING:
    from fastapi import FastAPI

    from app.admin.library_routes import LibraryDesk
    from app.fleet import Fleet
    from app.services import Services
    from app.settings import Settings
    from app.tasks.opening import Tasks


def add_console(
    app: FastAPI,
    services: Services,
    tasks: Tasks | None,
    fleet: Fleet | None,
    desk: LibraryDesk | None,
) -> None:
    """Serve the console from this app.

    Args:
        app: the app.
        services: what it stands on.
        tasks: what tasks stand on; None where there are none.
        fleet: knows what runs for the service; None where nobody does.
        desk: what libraries stand on; None where there are none.
    """
    assets = assets_path()
    app.mount(assets, LastingFiles(directory=FOLDER), name="console-assets")
    access = AdminAccess(services)
    pages = Pages(assets, picture_origins(services.settings), has_libraries=desk is not None)
    app.include_router(login_pages(pages, access))
    behind = APIRouter(
        route_class=page_route(pages), include_in_schema=False, dependencies=[Depends(gate_for(access))]
    )
    overview_page(behind, pages, services, fleet)
    try_pages(behind, pages, services, desk)
    record_pages(behind, pages, services)
    task_pages(behind, pages, services, tasks)
    library_pages(behind, pages, services, desk)
    key_pages(behind, pages, services)
    system_pages(behind, pages, services, fleet)
    app.include_router(behind)


def picture_origins(settings: Settings) -> tuple[str, ...]:
    """Return where browsers load pictures from beside this server."""
    if settings.s3_bucket is None:
        return ()
    given = [url for url in (settings.s3_endpoint, settings.s3_public_endpoint) if url]
    origins = [f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, given)]
    return tuple(dict.fromkeys(origins)) or ("https://*.amazonaws.com",)
