"""Who may enter the admin API: a cookie that names a session kept here, or a name and password (Basic).

cookie -> session in the database -> administrator, if the page that asks is ours
Basic  -> remembered a minute, else counted as a login and verified -> administrator
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import Request, Response  # noqa: TC002 - FastAPI reads the annotations

from app.admin.origins import check_same_origin, is_https
from app.client_address import client_address
from app.errors import NotOffered, Unauthorized
from app.limiting import count_for
from app.middleware import answer_with
from app.records.values import Actor

if TYPE_CHECKING:
    from app.records.sessions import AdminSessions
    from app.services import Services

ADMIN_PATH = "/api/v1/admin"
COOKIE = "facefleet_admin"
#: Where the administrator lies in the ASGI scope once he was let in.
ADMINISTRATOR = "facefleet.administrator"
WRONG = "The name or the password is wrong."
NEEDED = "Log in, or send the administrator's name and password."
#: Longer names are cut where they are counted or noted; no administrator has one.
LONGEST_NAME = 200
LIMIT_SCOPE = "login"


class AdminAccess:
    """Lets administrators in."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._asking: dict[tuple[str, str], asyncio.Task[bool]] = {}

    async def require(self, request: Request) -> None:
        """Refuse whoever is no administrator; a dependency of every route that is for them.

        Raises:
            Unauthorized: nobody that we know.
            Forbidden: a page of another site asks on behalf of somebody whom we know.
        """
        answer_with(request.scope, {"Cache-Control": "no-store"})  # there are secrets among the answers
        actor = await self._find(request)
        check_same_origin(request, self._services.settings)
        request.scope[ADMINISTRATOR] = actor

    async def _find(self, request: Request) -> Actor:
        given = _basic(request)
        if given is not None:
            return await self._by_password(request, *given)
        return self._actor(request, await self.session_name(request))

    async def session_name(self, request: Request) -> str:
        """Return the name of the administrator whose session a browser's cookie stands for.

        Raises:
            Unauthorized: it stands for none.
        """
        token = request.cookies.get(COOKIE)
        memory = self._services.memory
        who = await memory.sessions.check(token) if memory and token else None
        if who is None or who != self._services.settings.admin_username:
            raise Unauthorized(NEEDED, _challenge(request))
        return who

    async def log_in(self, request: Request, response: Response, username: str, password: str) -> None:
        """Give the browser a cookie that is worth a session.

        Raises:
            Unauthorized: the name or the password is wrong.
            RateLimited: too many attempts from this address or for this name.
            NotOffered: there is no database to keep sessions in.
        """
        sessions = self._sessions()
        check_same_origin(request, self._services.settings)
        await self._count(request, username)
        if not await self._services.admin.verify(username, password):
            await self._note_refusal(request, username)
            raise Unauthorized(WRONG, None)
        lifetime = self._services.settings.admin_session_ttl_s
        token = await sessions.create(self._actor(request, username), timedelta(seconds=lifetime))
        response.set_cookie(
            COOKIE,
            token,
            max_age=lifetime,
            httponly=True,
            samesite="lax",
            secure=is_https(request, self._services.settings.public_url),
        )

    async def log_out(self, request: Request, response: Response) -> None:
        """End the session, here and not only in the browser."""
        token = request.cookies.get(COOKIE)
        memory = self._services.memory
        if token and memory:
            check_same_origin(request, self._services.settings)
            actor = self._actor(request, self._services.settings.admin_username)
            await memory.sessions.revoke(token, actor)
        response.delete_cookie(
            COOKIE,
            httponly=True,
            samesite="lax",
            secure=is_https(request, self._services.settings.public_url),
        )

    async def _by_password(self, request: Request, username: str, password: str) -> Actor:
        """Verify once for all who ask with the same pair at the same time, and count it as one login."""
        if not self._services.admin.remembers(username, password):
            pair = (username, password)
            asking = self._asking.get(pair)
            if asking is None:
                asking = self._asking[pair] = asyncio.create_task(self._count_and_verify(request, *pair))
                asking.add_done_callback(lambda _: self._asking.pop(pair, None))
            if not await asyncio.shield(asking):
                raise Unauthorized(WRONG, _challenge(request))
        return self._actor(request, username)

    async def _count_and_verify(self, request: Request, username: str, password: str) -> bool:
        await self._count(request, username)
        if await self._services.admin.verify(username, password):
            return True
        await self._note_refusal(request, username)
        return False

    async def _count(self, request: Request, username: str) -> None:
        """Count an attempt, right or wrong: whoever guesses from many places is seen by the name."""
        address = client_address(request, self._services)
        who = [f"address {address}", f"name {username[:LONGEST_NAME]}"]
        await count_for(
            self._services, request, LIMIT_SCOPE, self._services.settings.admin_login_rate_limit, who
        )

    async def _note_refusal(self, request: Request, username: str) -> None:
        if self._services.memory is not None:
            actor = self._actor(request, username[:LONGEST_NAME])
            await self._services.memory.audit.append(actor, "session.refused", actor.who)

    def _sessions(self) -> AdminSessions:
        if self._services.memory is None:
            message = "Sessions need the database, which is switched off (FACE_API_DATABASE_ENABLED=false)."
            raise NotOffered(message)
        return self._services.memory.sessions

    def _actor(self, request: Request, who: str) -> Actor:
        return Actor(who, client_address(request, self._services))


def administrator_of(request: Request) -> Actor:
    """Return who sent a request that was let in."""
    actor: Actor = request.scope[ADMINISTRATOR]
    return actor


def _basic(request: Request) -> tuple[str, str] | None:
    """Return the name and password that a request brings; None where it brings none."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        username, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Unauthorized(WRONG, _challenge(request)) from None
    if not colon:
        raise Unauthorized(WRONG, _challenge(request))
    return username, password


def _challenge(request: Request) -> str | None:
    """Name Basic, but not to scripts in a page: their browser would open a window of its own."""
    return None if request.headers.get("sec-fetch-dest") == "empty" else 'Basic realm="facefleet admin"'
