"""Clients' keys: made, listed, changed, removed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, Request

from app.admin.access import ADMIN_PATH, administrator_of
from app.admin.lookup import known, known_id
from app.admin.record_routes import Page, PerPage  # noqa: TC001 - FastAPI reads the annotations
from app.admin.schemas import (
    ApiKeyCreatedResponse,
    ApiKeyResponse,
    ChangeKeyRequest,
    CreateKeyRequest,
    PaginatedResponse,
    WebhookSecretResponse,
)
from app.admin.tiers import memory_of
from app.plans import DEFAULT_PLAN, PUBLIC_PLANS
from pipelines.errors import InvalidOption

if TYPE_CHECKING:
    from app.admin.access import AdminAccess
    from app.records.api_keys import ApiKey
    from app.services import Services


def key_routes(services: Services, access: AdminAccess) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=f"{ADMIN_PATH}/api-keys", dependencies=[Depends(access.require)])

    names = sorted({DEFAULT_PLAN, *PUBLIC_PLANS, *services.settings.plans})

    def check_plan(plan: str | None) -> None:
        """Refuse a plan that is none: a key of it would have the limits of the default one."""
        if plan is not None and plan not in names:
            message = f"plan: there is {', '.join(names)}."
            raise InvalidOption(message)

    @router.post("", status_code=201)
    async def create_key(request: Request, wanted: CreateKeyRequest) -> ApiKeyCreatedResponse:
        r"""Make a key. The key and its webhook secret are shown this once.

        For instance:

            curl -u "admin:$PASSWORD" -H "Content-Type: application/json" \
              -d '{"name": "Production App"}' "$URL/api/v1/admin/api-keys"
        """
        check_plan(wanted.plan)
        made = await memory_of(services).keys.create(
            wanted.name, administrator_of(request), wanted.plan or DEFAULT_PLAN
        )
        shown = _shown(made.info).model_dump()
        return ApiKeyCreatedResponse(**shown, key=made.key, webhook_secret=made.webhook_secret)

    @router.get("")
    async def list_keys(page: Page = 1, per_page: PerPage = 20) -> PaginatedResponse[ApiKeyResponse]:
        """List the keys, newest first.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/api-keys"
        """
        found = await memory_of(services).keys.list(page, per_page)
        items = [_shown(each) for each in found.items]
        return PaginatedResponse(
            items=items, total=found.total, page=page, per_page=per_page, pages=found.pages
        )

    @router.get("/{key_id}")
    async def get_key(key_id: str) -> ApiKeyResponse:
        """Show a key, without what opens the door.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/api-keys/$KEY_ID"
        """
        return _shown(known(await memory_of(services).keys.get(known_id(key_id, "key")), "key"))

    @router.patch("/{key_id}")
    async def change_key(request: Request, key_id: str, changes: ChangeKeyRequest) -> ApiKeyResponse:
        r"""Rename a key, or turn it off or on. What is turned off stops working within 5 seconds.

        For instance:

            curl -u "admin:$PASSWORD" -X PATCH -H "Content-Type: application/json" \
              -d '{"name": "Renamed App", "is_active": false}' "$URL/api/v1/admin/api-keys/$KEY_ID"
        """
        given = changes.model_dump(exclude_unset=True)
        check_plan(given.get("plan"))
        found = await memory_of(services).keys.patch(
            known_id(key_id, "key"), given, administrator_of(request)
        )
        return _shown(known(found, "key"))

    @router.delete("/{key_id}", status_code=204)
    async def delete_key(request: Request, key_id: str) -> None:
        """Remove a key; what was done with it stays.

        For instance:

            curl -u "admin:$PASSWORD" -X DELETE "$URL/api/v1/admin/api-keys/$KEY_ID"
        """
        was_there = await memory_of(services).keys.delete(known_id(key_id, "key"), administrator_of(request))
        known(was_there or None, "key")

    @router.post("/{key_id}/webhook-secret")
    async def rotate_webhook_secret(request: Request, key_id: str) -> WebhookSecretResponse:
        """Make a new secret for a key's webhooks; the one before stays valid for a day.

        For instance:

            curl -u "admin:$PASSWORD" -X POST "$URL/api/v1/admin/api-keys/$KEY_ID/webhook-secret"
        """
        secret = await memory_of(services).keys.rotate_webhook_secret(
            known_id(key_id, "key"), administrator_of(request)
        )
        return WebhookSecretResponse(webhook_secret=known(secret, "key"))

    return router


def _shown(key: ApiKey) -> ApiKeyResponse:
    return ApiKeyResponse(**asdict(key), key_preview=key.key_preview)
