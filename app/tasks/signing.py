"""Texts that this service gives away and believes when they come back: cursors and addresses of parts.

The secret lies in the database, because any replica on any machine must know what another one signed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from sqlalchemy import select

from app.db.task_tables import ServiceSecretRow
from app.db.upsert import insert_for

if TYPE_CHECKING:
    from app.db.engine import Database

SECRET_BYTES = 32
MAC_BYTES = 16
NAME = "tasks"


class TextSigner:
    """Signs with a secret that is read from the database when it is first needed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._secret: bytes | None = None

    async def sign(self, *parts: str) -> str:
        """Return the signature of these texts in this order."""
        return _mac(await self._the_secret(), parts).hex()

    async def verify(self, signature: str, *parts: str) -> bool:
        """Tell whether it is the signature of these texts."""
        return hmac.compare_digest((await self.sign(*parts)).encode(), signature.encode("utf-8", "replace"))

    async def seal(self, text: str, *context: str) -> str:
        """Return the text in a form that nobody can change, or use where the context is another."""
        mac = _mac(await self._the_secret(), (*context, text))
        return base64.urlsafe_b64encode(mac + text.encode()).decode().rstrip("=")

    async def open(self, sealed: str, *context: str) -> str | None:
        """Return the text that was sealed; None where it was not, or not for this context."""
        try:
            raw = base64.b64decode(sealed.encode("ascii") + b"=" * (-len(sealed) % 4), b"-_", validate=True)
            text = raw[MAC_BYTES:].decode()
        except (ValueError, binascii.Error):
            return None
        genuine = _mac(await self._the_secret(), (*context, text))
        return text if hmac.compare_digest(genuine, raw[:MAC_BYTES]) else None

    async def _the_secret(self) -> bytes:
        if self._secret is None:
            async with self._database.transaction() as tx:
                statement = insert_for(tx.dialect, ServiceSecretRow).values(
                    name=NAME, secret=secrets.token_bytes(SECRET_BYTES)
                )
                await tx.execute(statement.on_conflict_do_nothing())
                self._secret = await tx.scalar(
                    select(ServiceSecretRow.secret).where(ServiceSecretRow.name == NAME)
                )
        assert self._secret is not None  # noqa: S101 - narrows the type: it was just put there
        return self._secret


def _mac(secret: bytes, parts: tuple[str, ...]) -> bytes:
    said = b"".join(len(part.encode()).to_bytes(8, "big") + part.encode() for part in parts)
    return hmac.new(secret, said, hashlib.sha256).digest()[:MAC_BYTES]
