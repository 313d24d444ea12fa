"""Limits at the door: counted before a body is read, and told on every answer that they concern."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation

from app.auth import caller_of
from app.client_address import client_address
from app.errors import RateLimited
from app.limits import NO_LIMIT
from app.middleware import answer_with

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from app.limits import Allowance
    from app.services import Services


def request_limit(services: Services, scope: str, limit: str) -> Callable[[Request], Awaitable[None]]:
    """Return a dependency that counts a request for its key, or for its address where keys are off."""

    async def count(request: Request) -> None:
        if services.settings.api_key_enabled:
            who = f"key {caller_of(request).id}"
        else:
            who = f"address {client_address(request, services)}"
        await count_for(services, request, scope, limit, [who])

    return count


async def count_for(
    services: Services, request: Request, scope: str, limit: str, everyone: list[str]
) -> None:
    """Count a request for each of these, and tell on its answer what the strictest of them leaves.

    Raises:
        RateLimited: one of them has used up its limit.
    """
    if limit == NO_LIMIT:
        return
    for_each = [await services.limiter.hit(scope, limit, who) for who in everyone]
    strictest = min(for_each, key=lambda each: (each.is_allowed, each.remaining, -each.reset_at))
    answer_with(request.scope, _headers(strictest))
    if not strictest.is_allowed:
        message = f"The limit of {limit} is used up; see Retry-After."
        raise RateLimited(message, strictest.retry_after_s())


def _headers(allowance: Allowance) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(allowance.limit),
        "X-RateLimit-Remaining": str(allowance.remaining),
        "X-RateLimit-Reset": str(math.ceil(allowance.reset_at)),
    }
