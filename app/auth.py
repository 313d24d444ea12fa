"""Lets requests in by their key, before anything else of them is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader

from app.errors import Unauthorized
from app.keys import KeyIdentity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from app.services import Services

#: Where the caller's identity lies in the ASGI scope once the key was checked.
CALLER = "facefleet.caller"
#: Who calls where no keys are asked for.
ANYONE = KeyIdentity("anyone", "anyone")

HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, description="One key works on both doors.")


def key_check(services: Services) -> Callable[..., Awaitable[None]]:
    """Return a dependency that refuses requests without a valid key."""

    async def require_key(request: Request, key: Annotated[str | None, Security(HEADER)]) -> None:
        caller = ANYONE
        if services.settings.api_key_enabled:
            found = None if key is None else await services.keys.check(key)
            if found is None:
                message = "A valid key is needed in the X-API-Key header."
                raise Unauthorized(message)
            caller = found
        request.scope[CALLER] = caller

    return require_key


def caller_of(request: Request) -> KeyIdentity:
    """Return who sent a request that passed the key check."""
    caller: KeyIdentity = request.scope[CALLER]
    return caller
