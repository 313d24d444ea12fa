"""Gives out objects of the local folder, or still on their way to S3, to whoever has a signed address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from app.errors import Forbidden, NotFound
from app.services import FILES_PATH
from app.storage.port import ObjectMissing, content_type

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from app.persistence import Storage

HEADERS = {
    # An address that expires must not outlive its time in a shared cache.
    "Cache-Control": "private, max-age=300",
    # These bytes came from strangers: a browser shows them as a picture or not at all.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-site",
    "Referrer-Policy": "no-referrer",
}


def file_routes(storage: Storage) -> APIRouter:
    """Return the route that signed addresses lead to."""
    router = APIRouter(prefix=FILES_PATH, include_in_schema=False)

    @router.get("/{key:path}")
    async def give(
        key: str,
        expires: Annotated[int, Query(ge=0, le=2**40)] = 0,
        signature: Annotated[str, Query(max_length=64)] = "",
    ) -> Response:
        try:
            is_signed = storage.signer.verify(key, expires, signature)
        except ObjectMissing:
            is_signed = False
        if not is_signed:
            message = "This address has expired, or was never valid."
            raise Forbidden(message)
        pieces = storage.objects.get(key)
        try:
            first = await anext(pieces)
        except (ObjectMissing, StopAsyncIteration):
            message = "This picture is not kept any more."
            raise NotFound(message) from None
        return StreamingResponse(_joined(first, pieces), media_type=content_type(key), headers=HEADERS)

    return router


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
