"""Who may see a page: whoever holds a session; everybody else is led to the login, and back afterwards.

What goes wrong behind the gate is shown as a page and not as JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import RedirectResponse, Response

from app.errors import BUG_TEXT, Unauthorized, answer_for
from app.logs import log_bug
from app.middleware import ClientGone, request_id_of
from pipelines.errors import FacefleetError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from app.admin.access import AdminAccess
    from app.console.rendering import Pages

LOGIN = "/login"
HOME = "/"
#: Where the name of who is logged in lies in the ASGI scope.
VIEWER = "facefleet.viewer"
_LONGEST_PATH = 2000
_TITLES = {
    404: "Not here",
    422: "That address makes no sense",
    501: "Switched off here",
    503: "Not there right now",
}


def gate_for(access: AdminAccess) -> Callable[[Request], Coroutine[Any, Any, None]]:
    """Return a dependency that lets in whoever is logged in.

    Raises (the dependency):
        Unauthorized: nobody is; the page's route leads to the login.
    """

    async def enter(request: Request) -> None:
        request.scope[VIEWER] = await access.session_name(request)

    return enter


def page_route(pages: Pages) -> type[APIRoute]:
    """Return the class of routes whose errors are pages."""

    class PageRoute(APIRoute):
        """A route of a page."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """Return the handler that never answers with JSON."""
            handle = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await handle(request)
                except Unauthorized:
                    return to_login(request)
                except ClientGone:
                    raise
                except (FacefleetError, HTTPException, RequestValidationError) as error:
                    said = answer_for(error, request.url.path)
                    return error_page(pages, request, said.status, said.message)
                except Exception as error:  # noqa: BLE001 - it is shown as a page, and written down
                    log_bug("bug", error, request_id=request_id_of(request.scope))
                    return error_page(pages, request, 500, BUG_TEXT)

            return answer

    return PageRoute


def error_page(pages: Pages, request: Request, status: int, message: str) -> Response:
    """Return a page that says what is wrong."""
    return pages.show(
        "error.html",
        status,
        viewer=request.scope.get(VIEWER),
        here=request.url.path,
        title=_TITLES.get(status, "That did not work"),
        message=message,
        status=status,
        request_id=request_id_of(request.scope),
        offers_retry=status >= 500 and status != 501,  # noqa: PLR2004 - what is switched off stays off
    )


def to_login(request: Request) -> Response:
    """Lead to the login, and from there back to the page that was asked for."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    query = "" if path == HOME else "?" + urlencode({"next": path})
    return RedirectResponse(LOGIN + query, 303)


def own_path(wanted: str) -> str:
    """Return where to go after the login: a path of this server, or the first page."""
    is_path = wanted.startswith("/") and not wanted.replace("\\", "/").startswith("//")
    return wanted if is_path and wanted.isprintable() and len(wanted) <= _LONGEST_PATH else HOME
