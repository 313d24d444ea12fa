"""Who is logged in to the console. A cookie is but a random name for what is kept here: logout kills it.

What is kept is a digest of the cookie and of the password that it was given for: with another password no
cookie of before is worth anything.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, or_, select, update

from app.db.tables import AdminSessionRow
from app.records.audit import write_audit

if TYPE_CHECKING:
    from app.db.engine import Database
    from app.records.values import Actor

TOKEN_BYTES = 32
LONGEST_TOKEN = 200


class AdminSessions:
    """The sessions of administrators.

    Args:
        database: where they are kept.
        mark: stands for the password that is right now.
    """

    def __init__(self, database: Database, mark: bytes = b"") -> None:
        self._database = database
        self._mark = mark

    async def create(self, actor: Actor, lifetime: timedelta) -> str:
        """Log somebody in and return the cookie's value, which is kept nowhere."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now = datetime.now(timezone.utc)
        async with self._database.transaction() as tx:
            await tx.execute(
                insert(AdminSessionRow).values(
                    token_hash=self._digest(token),
                    username=actor.who,
                    created_at=now,
                    expires_at=now + lifetime,
                )
            )
            await write_audit(tx, actor, "session.login", actor.who)
        return token

    async def check(self, token: str) -> str | None:
        """Return who holds this cookie, unless it is forged, expired or logged out."""
        if not 0 < len(token) <= LONGEST_TOKEN:
            return None
        now = datetime.now(timezone.utc)
        async with self._database.read() as tx:
            return await tx.scalar(
                select(AdminSessionRow.username).where(
                    AdminSessionRow.token_hash == self._digest(token),
                    AdminSessionRow.expires_at > now,
                    AdminSessionRow.revoked_at.is_(None),
                )
            )

    async def revoke(self, token: str, actor: Actor) -> bool:
        """Log out; tell whether somebody was logged in."""
        async with self._database.transaction() as tx:
            ended = await tx.execute(
                update(AdminSessionRow)
                .where(
                    AdminSessionRow.token_hash == self._digest(token), AdminSessionRow.revoked_at.is_(None)
                )
                .values(revoked_at=datetime.now(timezone.utc))
            )
            if ended.rowcount:
                await write_audit(tx, actor, "session.logout", actor.who)
            return ended.rowcount > 0

    async def delete_ended(self) -> int:
        """Remove sessions that are over, and tell how many."""
        over = or_(
            AdminSessionRow.expires_at <= datetime.now(timezone.utc), AdminSessionRow.revoked_at.is_not(None)
        )
        async with self._database.transaction() as tx:
            return (await tx.execute(delete(AdminSessionRow).where(over))).rowcount

    def _digest(self, token: str) -> bytes:
        return hmac.digest(self._mark, token.encode("utf-8", "surrogateescape"), hashlib.sha256)
