"""What administrators did."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query

from app.admin.access import ADMIN_PATH
from app.admin.lookup import known_id
from app.admin.schemas import AuditEntryResponse, AuditResponse
from app.admin.tiers import memory_of

if TYPE_CHECKING:
    from app.admin.access import AdminAccess
    from app.services import Services


def audit_routes(services: Services, access: AdminAccess) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=ADMIN_PATH, dependencies=[Depends(access.require)])

    @router.get("/audit")
    async def audit(
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        before: Annotated[
            str | None, Query(max_length=36, description="The `next_before` of a page.")
        ] = None,
    ) -> AuditResponse:
        """Tell what administrators did, newest first.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/audit?limit=50"
        """
        border = None if before is None else known_id(before, "entry")
        entries = await memory_of(services).audit.list(limit, border)
        return AuditResponse(
            items=[AuditEntryResponse(**asdict(entry)) for entry in entries],
            next_before=entries[-1].id if len(entries) == limit else None,
        )

    return router
