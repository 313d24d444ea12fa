"""Clients' keys: made, listed, changed and removed by administrators; checked on every request.

A check costs a look into memory. What is remembered is at most `FRESH_S` old, so a key that is turned off
stops on every replica within that time; a text that is no key is remembered as such as well, and a flood of
invented ones pushes out old answers but never grows.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from app.db.ids import new_id
from app.db.tables import ApiKeyRow
from app.db.upsert import insert_for
from app.keys import KEY_PREFIX, LONGEST_KEY, SHOWN, KeyIdentity, new_secret
from app.records.audit import write_audit
from app.records.paging import page_of_ids, walk_to
from app.records.values import Page

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from app.db.engine import Database, Writing
    from app.records.usage import KeyUsage
    from app.records.values import Actor

FRESH_S = 4.0
REMEMBERED = 10_000
PREVIOUS_SECRET_LIVES = timedelta(days=1)
WEBHOOK_SECRET_PREFIX = "whsec_"  # noqa: S105 - how every secret begins
DEFAULT_PLAN = "default"

_SHOWN = (
    ApiKeyRow.id,
    ApiKeyRow.name,
    ApiKeyRow.key_prefix,
    ApiKeyRow.key_suffix,
    ApiKeyRow.is_active,
    ApiKeyRow.plan,
    ApiKeyRow.request_count,
    ApiKeyRow.last_used_at,
    ApiKeyRow.created_at,
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What may be shown of a key."""

    id: uuid.UUID
    name: str
    key_prefix: str
    key_suffix: str
    is_active: bool
    plan: str
    request_count: int
    last_used_at: datetime | None
    created_at: datetime

    @property
    def key_preview(self) -> str:
        """Return enough for its owner to recognise it."""
        return f"{self.key_prefix}...{self.key_suffix}"


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key with its secrets, which are shown this once."""

    info: ApiKey
    key: str
    webhook_secret: str


class ApiKeys:
    """All keys. The check is what `app.keys.KeyStore` asks for."""

    def __init__(self, database: Database, usage: KeyUsage, fresh_s: float = FRESH_S) -> None:
        self._database = database
        self._usage = usage
        self._fresh_s = fresh_s
        self._known: OrderedDict[bytes, tuple[float, KeyIdentity | None]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[KeyIdentity | None]] = {}

    async def check(self, key: str) -> KeyIdentity | None:
        """Return whose key this is and count the request, or None.

        Raises:
            DependencyDown: the database is away and nothing fresh is remembered: nobody is let in by guess.
        """
        if not 0 < len(key) <= LONGEST_KEY:
            return None
        key_hash = _digest(key)
        remembered = self._known.get(key_hash)
        if remembered is not None and time.monotonic() - remembered[0] < self._fresh_s:
            identity = remembered[1]
        else:
            identity = await self._ask_once(key_hash)
        if identity is not None:
            self._usage.count(identity.id)
        return identity

    async def create(self, name: str, actor: Actor, plan: str = DEFAULT_PLAN) -> CreatedKey:
        """Make a key."""
        key, webhook_secret = new_secret(), _new_webhook_secret()
        values = _new_row(key, name, plan, webhook_secret)
        async with self._database.transaction() as tx:
            await tx.execute(insert_for(tx.dialect, ApiKeyRow).values(values))
            await write_audit(tx, actor, "key.create", str(values["id"]), {"name": name, "plan": plan})
        self._forget()
        return CreatedKey(_info(values), key, webhook_secret)

    async def list(self, page: int, per_page: int) -> Page[ApiKey]:
        """Return a page of keys, newest first."""
        async with self._database.read() as tx:
            total = await tx.scalar(select(func.count()).select_from(ApiKeyRow)) or 0
            ids = page_of_ids(ApiKeyRow.id, walk_to(page, per_page, total))
            rows = await tx.execute(
                select(*_SHOWN).join(ids, ids.c.id == ApiKeyRow.id).order_by(ApiKeyRow.id.desc())
            )
            return Page(tuple(_info(row._asdict()) for row in rows), total, page, per_page)

    async def get(self, key_id: uuid.UUID) -> ApiKey | None:
        """Return one key."""
        async with self._database.read() as tx:
            row = (await tx.execute(select(*_SHOWN).where(ApiKeyRow.id == key_id))).one_or_none()
            return None if row is None else _info(row._asdict())

    async def patch(self, key_id: uuid.UUID, changes: Mapping[str, Any], actor: Actor) -> ApiKey | None:
        """Change `name`, `is_active` or `plan`; return the key as it is then, or None where there is none."""
        allowed = {name: value for name, value in changes.items() if name in {"name", "is_active", "plan"}}
        async with self._database.transaction() as tx:
            if allowed:
                await tx.execute(update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(allowed))
            row = (await tx.execute(select(*_SHOWN).where(ApiKeyRow.id == key_id))).one_or_none()
            if row is not None:
                await write_audit(tx, actor, "key.change", str(key_id), allowed)
        self._forget()
        return None if row is None else _info(row._asdict())

    async def delete(self, key_id: uuid.UUID, actor: Actor) -> bool:
        """Remove a key; what was done with it stays. Tell whether there was one."""
        async with self._database.transaction() as tx:
            gone = await tx.scalar(delete(ApiKeyRow).where(ApiKeyRow.id == key_id).returning(ApiKeyRow.name))
            if gone is not None:
                await write_audit(tx, actor, "key.delete", str(key_id), {"name": gone})
        self._forget()
        return gone is not None

    async def rotate_webhook_secret(self, key_id: uuid.UUID, actor: Actor) -> str | None:
        """Make a new secret and return it; the one before stays valid for a day."""
        secret = _new_webhook_secret()
        async with self._database.transaction() as tx:
            changed = await tx.execute(
                update(ApiKeyRow)
                .where(ApiKeyRow.id == key_id)
                .values(
                    webhook_secret_previous=ApiKeyRow.webhook_secret,
                    webhook_secret_previous_until=datetime.now(timezone.utc) + PREVIOUS_SECRET_LIVES,
                    webhook_secret=secret,
                )
            )
            if changed.rowcount:
                await write_audit(tx, actor, "key.rotate_webhook_secret", str(key_id))
        return secret if changed.rowcount else None

    async def webhook_secrets(self, key_id: uuid.UUID) -> tuple[str, ...]:
        """Return the secrets that are valid now, the newest first; none where there is no such key."""
        columns = (
            ApiKeyRow.webhook_secret,
            ApiKeyRow.webhook_secret_previous,
            ApiKeyRow.webhook_secret_previous_until,
        )
        async with self._database.read() as tx:
            row = (await tx.execute(select(*columns).where(ApiKeyRow.id == key_id))).one_or_none()
        if row is None:
            return ()
        previous, until = row.webhook_secret_previous, row.webhook_secret_previous_until
        if previous is None or until is None or until <= datetime.now(timezone.utc):
            return (row.webhook_secret,)
        return (row.webhook_secret, previous)

    async def put_bootstrap(self, key: str, webhook_secret: str | None = None) -> None:
        """Make sure that the key which the operator set exists.

        Nothing changes where it does: one that was turned off stays off, a rotated secret stays rotated.
        """
        values = _new_row(key, "bootstrap", DEFAULT_PLAN, webhook_secret or _new_webhook_secret())
        async with self._database.transaction() as tx:
            await _put_if_new(tx, values)
        self._forget()

    async def create_first(self, name: str, actor: Actor) -> CreatedKey | None:
        """Make a key where there is none at all; None where there is one."""
        async with self._database.read() as tx:
            has_some = await tx.scalar(select(ApiKeyRow.id).limit(1)) is not None
        return None if has_some else await self.create(name, actor)

    async def _ask_once(self, key_hash: bytes) -> KeyIdentity | None:
        """Ask the database; all who ask for the same key at once share one question."""
        asking = self._asking.get(key_hash)
        if asking is None:
            asking = self._asking[key_hash] = asyncio.create_task(self._ask(key_hash))
            asking.add_done_callback(lambda _: self._asking.pop(key_hash, None))
        return await asyncio.shield(asking)

    async def _ask(self, key_hash: bytes) -> KeyIdentity | None:
        asked_at = time.monotonic()
        async with self._database.read() as tx:
            row = (
                await tx.execute(
                    select(ApiKeyRow.id, ApiKeyRow.name, ApiKeyRow.plan).where(
                        ApiKeyRow.key_hash == key_hash, ApiKeyRow.is_active
                    )
                )
            ).one_or_none()
        identity = None if row is None else KeyIdentity(str(row.id), row.name, row.plan)
        self._known[key_hash] = (asked_at, identity)
        self._known.move_to_end(key_hash)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return identity

    def _forget(self) -> None:
        """Let this process, at least, see the change at once."""
        self._known.clear()


async def _put_if_new(tx: Writing, values: dict[str, Any]) -> None:
    statement = insert_for(tx.dialect, ApiKeyRow).values(values)
    await tx.execute(statement.on_conflict_do_nothing(index_elements=[ApiKeyRow.key_hash]))


def _new_row(key: str, name: str, plan: str, webhook_secret: str) -> dict[str, Any]:
    now = datetime.now(timezone.utc)
    return {
        "id": new_id(now),
        "name": name,
        "key_hash": _digest(key),
        "key_prefix": key[: len(KEY_PREFIX) + SHOWN],
        "key_suffix": key[-SHOWN:],
        "is_active": True,
        "plan": plan,
        "request_count": 0,
        "last_used_at": None,
        "created_at": now,
        "webhook_secret": webhook_secret,
    }


def _info(values: Mapping[Any, Any]) -> ApiKey:
    return ApiKey(**{column.key: values[column.key] for column in _SHOWN})


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _new_webhook_secret() -> str:
    return WEBHOOK_SECRET_PREFIX + secrets.token_urlsafe(32)
