"""The pages that need no session: in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from app.admin.access import COOKIE
from app.console.gate import HOME, LOGIN, own_path, page_route
from app.errors import NotOffered, RateLimited, Unauthorized, answer_for

if TYPE_CHECKING:
    from app.admin.access import AdminAccess
    from app.console.rendering import Pages

_EXPIRED = "Your session has ended. Log in to go on where you were."


def login_pages(pages: Pages, access: AdminAccess) -> APIRouter:
    """Return the routes."""
    router = APIRouter(route_class=page_route(pages), include_in_schema=False)

    @router.get(LOGIN)
    async def show_login(
        request: Request,
        next_path: Annotated[str, Query(alias="next", max_length=2000)] = HOME,
    ) -> Response:
        target = own_path(next_path)
        try:
            await access.session_name(request)
        except Unauthorized:
            had_session = bool(request.cookies.get(COOKIE))
            return pages.show(
                "login.html", target=target, username="", problem=None, note=_EXPIRED if had_session else None
            )
        return RedirectResponse(target, 303)

    @router.post(LOGIN)
    async def log_in(
        request: Request,
        username: Annotated[str, Form(max_length=200)] = "",
        password: Annotated[str, Form(max_length=1024)] = "",
        next_path: Annotated[str, Form(alias="next", max_length=2000)] = HOME,
    ) -> Response:
        target = own_path(next_path)
        answer = RedirectResponse(target, 303)
        try:
            await access.log_in(request, answer, username, password)
        except (Unauthorized, RateLimited, NotOffered) as error:
            said = answer_for(error, request.url.path)
            refused = pages.show(
                "login.html", said.status, target=target, username=username, problem=said.message, note=None
            )
            refused.headers.update(said.headers)
            return refused
        return answer

    @router.post("/logout")
    async def log_out(request: Request) -> Response:
        answer = RedirectResponse(LOGIN, 303)
        await access.log_out(request, answer)
        return answer

    return router
