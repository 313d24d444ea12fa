"""What administrators did: written in the transaction that does it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from app.db.ids import new_id
from app.db.tables import AuditRow
from app.records.values import AuditEntry

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from app.db.engine import Database, Writing
    from app.records.values import Actor


async def write_audit(
    tx: Writing, actor: Actor, action: str, subject: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Note what is done in this transaction."""
    now = datetime.now(timezone.utc)
    await tx.execute(
        insert(AuditRow).values(
            id=new_id(now),
            at=now,
            who=_kept(actor.who, 200),
            action=action,
            subject=_kept(subject, 500),
            address=actor.address,
            detail=dict(detail or {}),
        )
    )


def _kept(text: str, length: int) -> str:
    """Return a text that every database takes: a name that was tried may be anything, NUL as well."""
    return text[:length].replace("\x00", "\ufffd")


class AuditLog:
    """Adds what changes nothing else, such as a refused login, and shows what was noted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(
        self, actor: Actor, action: str, subject: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Note something."""
        async with self._database.transaction() as tx:
            await write_audit(tx, actor, action, subject, detail)

    async def list(self, limit: int = 100, before: uuid.UUID | None = None) -> list[AuditEntry]:
        """Return entries, newest first; those older than `before` where it is given."""
        query = select(
            AuditRow.id,
            AuditRow.at,
            AuditRow.who,
            AuditRow.action,
            AuditRow.subject,
            AuditRow.address,
            AuditRow.detail,
        )
        if before is not None:
            query = query.where(AuditRow.id < before)
        async with self._database.read() as tx:
            rows = await tx.execute(query.order_by(AuditRow.id.desc()).limit(limit))
            return [AuditEntry(**row._asdict()) for row in rows]
