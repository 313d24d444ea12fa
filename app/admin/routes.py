"""Everything under /api/v1/admin, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Security
from fastapi.security import APIKeyCookie
from fastapi.security.http import HTTPBase

from app.admin.access import COOKIE, AdminAccess
from app.admin.audit_routes import audit_routes
from app.admin.key_routes import key_routes
from app.admin.library_routes import library_routes, person_routes, recognition_routes
from app.admin.overview import overview_routes
from app.admin.preview import preview_routes
from app.admin.record_routes import record_routes
from app.admin.session_routes import session_routes
from app.admin.system import system_routes
from app.admin.task_routes import task_routes
from app.admin.thumbnails import thumbnail_routes
from app.schemas import ErrorResponse

if TYPE_CHECKING:
    from app.admin.library_routes import LibraryDesk
    from app.fleet import Fleet
    from app.services import Services
    from app.tasks.opening import Tasks

REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": text}
    for status, text in (
        (401, "Nobody that is known here"),
        (403, "Asked for by a page of another site"),
        (429, "Too many logins; see Retry-After"),
        (503, "Try again later; see Retry-After"),
    )
}
# For the documentation alone: what they find is looked at in `AdminAccess`.
_COOKIE = APIKeyCookie(name=COOKIE, auto_error=False, description="A session.")
_BASIC = HTTPBase(
    scheme="basic",
    scheme_name="HTTPBasic",
    auto_error=False,
    description="Name and password with each request.",
)


def admin_api(
    services: Services,
    tasks: Tasks | None = None,
    fleet: Fleet | None = None,
    desk: LibraryDesk | None = None,
) -> APIRouter:
    """Return the routes of the admin API over these services.

    Args:
        services: what the app stands on.
        tasks: what tasks stand on; None where there are none.
        fleet: knows what runs for the service; None where nobody does.
        desk: what libraries stand on; None where there are none.
    """
    access = AdminAccess(services)
    router = APIRouter(responses=REFUSALS, tags=["admin"])
    for routes in (
        session_routes(access),
        overview_routes(services, access, fleet),
        system_routes(services, access, fleet),
        record_routes(services, access),
        thumbnail_routes(services, access),
        task_routes(services, access, tasks),
        library_routes(services, access, desk),
        person_routes(services, access, desk),
        recognition_routes(services, access, desk),
        preview_routes(services, access),
        key_routes(services, access),
        audit_routes(services, access),
    ):
        router.include_router(routes, dependencies=[Security(_COOKIE), Security(_BASIC)])
    return router
