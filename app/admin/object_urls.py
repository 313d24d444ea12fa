"""Addresses of pictures, complete and with an end to their validity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.admin.origins import own_url

if TYPE_CHECKING:
    from starlette.requests import Request

    from app.settings import Settings
    from app.storage.spooled import SpooledStore


class ObjectUrls:
    """Makes addresses that the client of this request can reach."""

    def __init__(self, objects: SpooledStore, settings: Settings, request: Request) -> None:
        self._objects = objects
        self._lifetime_s = settings.object_url_ttl_s
        self._here = own_url(request, settings.public_url)

    async def url(self, key: str) -> str:
        """Return the address of an object; those of this server are given with its name."""
        found = await self._objects.url(key, self._lifetime_s)
        return self._here + found if found.startswith("/") else found

    async def url_or_none(self, key: str | None) -> str | None:
        """Return the address of an object where there is one."""
        return None if key is None else await self.url(key)
