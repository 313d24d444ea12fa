"""The web app, made from the services it is given."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from app.admin.library_routes import LibraryDesk
from app.admin.routes import admin_api
from app.api_docs import add_docs
from app.console.routes import add_console
from app.door_one import door_one
from app.door_two import door_two
from app.door_two_libraries import library_routes, person_routes
from app.door_two_recognition import body_limit, recognition_routes
from app.door_two_uploads import part_limit, upload_routes
from app.draining import NoNewWork
from app.errors import error_response
from app.files import file_routes
from app.middleware import BodyGuard, RequestRecord, request_id_of
from app.records.traffic import kind_of
from app.request_metrics import count_request
from app.uploads import FORM_OVERHEAD
from pipelines.errors import FacefleetError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from app.fleet import Fleet
    from app.libraries.opening import Libraries
    from app.middleware import CountRequest
    from app.services import Services
    from app.settings import Settings
    from app.tasks.opening import Tasks

#: The most that a body may have where it carries no media.
SMALL_BODY = 1024 * 1024
#: Where a picture comes in the body.
PICTURE_PATHS = frozenset(
    {"/api/v1/detect", "/api/v1/mask", "/api/v1/admin/test/detect", "/api/v1/admin/test/mask"}
)


def create_app(
    services: Services,
    close: Callable[[], Awaitable[None]] | None = None,
    tasks: Tasks | None = None,
    fleet: Fleet | None = None,
    libraries: Libraries | None = None,
) -> FastAPI:
    """Return the app over these services.

    Args:
        services: what it stands on, open.
        close: called when the app's server stops, where nobody else closes them.
        tasks: what door two stands on, open; None leaves it out.
        libraries: what libraries of people stand on, open; None leaves them out. They need tasks.
        fleet: knows what runs for the service, for those who look after it; None where nobody does.
    """
    settings = services.settings

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        if close is not None:
            await close()

    app = FastAPI(
        title="Facefleet",
        summary="Faces in pictures: found, and hidden.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=[
            Middleware(RequestRecord, id_is_outside=services.is_behind_edge, count=_counting(services)),
            *_cors(settings),
            Middleware(BodyGuard, limit_for=_limits(settings), timeout_s=settings.upload_timeout_s),
            *([Middleware(NoNewWork)] if services.is_draining else []),
        ],
        exception_handlers={
            FacefleetError: _answer_error,
            HTTPException: _answer_error,
            RequestValidationError: _answer_error,
        },
    )
    app.include_router(door_one(services))
    desk = LibraryDesk(libraries, tasks.plans) if tasks is not None and libraries is not None else None
    app.include_router(admin_api(services, tasks, fleet, desk))
    if tasks is not None:
        app.include_router(door_two(services, tasks, libraries))
        app.include_router(upload_routes(services, tasks))
        if libraries is not None:
            app.include_router(library_routes(services, tasks, libraries))
            app.include_router(person_routes(services, tasks, libraries))
            app.include_router(recognition_routes(services, tasks, libraries))
    if services.memory is not None and services.memory.storage is not None:
        app.include_router(file_routes(services.memory.storage))
    add_docs(app)
    add_console(app, services, tasks, fleet, desk)
    return app


async def _answer_error(request: Request, error: Exception) -> Response:
    return error_response(error, request.scope["path"], request_id_of(request.scope))


def _limits(settings: Settings) -> Callable[[str], int]:
    picture = settings.max_image_bytes + FORM_OVERHEAD

    def limit_for(path: str) -> int:
        return picture if path in PICTURE_PATHS else part_limit(path) or body_limit(path) or SMALL_BODY

    return limit_for


def _counting(services: Services) -> CountRequest:
    traffic = services.memory.traffic if services.memory is not None else None

    def count(route: str, status: int, took_ms: float, faces: int) -> None:
        count_request(route, status, took_ms)
        kind = kind_of(route)
        if traffic is not None and kind is not None:
            traffic.count(kind, status, took_ms, faces)

    return count


def _cors(settings: Settings) -> list[Middleware]:
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["*"],
        )
    ]
