"""Log in, see who is logged in, log out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, Request, Response

from app.admin.access import ADMIN_PATH, administrator_of
from app.admin.schemas import AdminSessionResponse, LoginRequest

if TYPE_CHECKING:
    from app.admin.access import AdminAccess


def session_routes(access: AdminAccess) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=f"{ADMIN_PATH}/auth")

    @router.post("/login", status_code=204)
    async def login(request: Request, response: Response, who: LoginRequest) -> None:
        r"""Open a session: the answer sets its cookie.

        For instance:

            curl -X POST "$URL/api/v1/admin/auth/login" -H "Content-Type: application/json" \
              -d "{\"username\": \"admin\", \"password\": \"$PASSWORD\"}" -c cookies.txt
        """
        await access.log_in(request, response, who.username, who.password)

    @router.get("/session", dependencies=[Depends(access.require)])
    async def session(request: Request) -> AdminSessionResponse:
        """Tell who is logged in.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/auth/session"
        """
        return AdminSessionResponse(authenticated=True, username=administrator_of(request).who)

    @router.post("/logout", status_code=204)
    async def logout(request: Request, response: Response) -> None:
        """End the session and clear its cookie.

        For instance:

            curl -X POST "$URL/api/v1/admin/auth/logout" -b cookies.txt
        """
        await access.log_out(request, response)

    return router
