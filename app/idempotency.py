"""Requests that may come twice and are done once: the first answer is kept for a day.

The answer is noted in the transaction that does what was asked for. Where the same request comes twice at the
same moment, the second waits for the first one's end and gets its answer.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from app.db.task_tables import IdempotencyRow
from app.db.upsert import insert_for
from app.errors import Conflict

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from app.db.engine import Reading, Writing

LIVES = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """How a request is known when it comes again."""

    key: str
    body_hash: bytes


def known_request(key: str | None, route: str, body: Any) -> KnownRequest | None:  # noqa: ANN401 - JSON
    """Return how a request is known; None where it has no key.

    Bodies are told apart by what they say: neither spaces nor the order of fields matter.
    """
    if key is None:
        return None
    said = json.dumps([route, body], sort_keys=True, separators=(",", ":"))
    return KnownRequest(key, hashlib.sha256(said.encode()).digest())


async def first_answer(
    tx: Reading, owner: UUID, request: KnownRequest | None, now: datetime
) -> dict[str, Any] | None:
    """Return what was answered to this request before; None for a new one.

    Raises:
        Conflict: the key was used with another request.
    """
    if request is None:
        return None
    mine = (IdempotencyRow.owner == owner) & (IdempotencyRow.key == request.key)
    columns = (IdempotencyRow.body_hash, IdempotencyRow.answer, IdempotencyRow.created_at)
    row = (await tx.execute(select(*columns).where(mine))).one_or_none()
    if row is None or row.created_at < now - LIVES:
        return None
    if row.body_hash != request.body_hash:
        message = "This Idempotency-Key was used with another request."
        raise Conflict(message)
    answer: dict[str, Any] = row.answer
    return answer


async def claim(
    tx: Writing, owner: UUID, request: KnownRequest | None, now: datetime
) -> dict[str, Any] | None:
    """Take the key for this transaction, or return what was answered before.

    Raises:
        Conflict: the key was used with another request.
    """
    if request is None:
        return None
    mine = (IdempotencyRow.owner == owner) & (IdempotencyRow.key == request.key)
    await tx.execute(delete(IdempotencyRow).where(mine, IdempotencyRow.created_at < now - LIVES))
    statement = insert_for(tx.dialect, IdempotencyRow).values(
        owner=owner, key=request.key, body_hash=request.body_hash, answer={}, created_at=now
    )
    noted = await tx.execute(statement.on_conflict_do_nothing())
    return None if noted.rowcount else await first_answer(tx, owner, request, now)


async def forget_person(tx: Writing, owner: UUID, library: str, person: str) -> None:
    """Take what somebody was called, and what was noted of them, out of the answers to their enrolment."""
    answer = IdempotencyRow.answer
    rows = await tx.execute(
        select(IdempotencyRow.key, answer).where(
            IdempotencyRow.owner == owner,
            answer["library_id"].as_string() == library,
            answer["person_id"].as_string() == person,
        )
    )
    for row in rows.all():
        mine = (IdempotencyRow.owner == owner) & (IdempotencyRow.key == row.key)
        left = {**row.answer, "name": None, "metadata": None}
        await tx.execute(update(IdempotencyRow).where(mine).values(answer=left))


async def forget_library(tx: Writing, owner: UUID, library: str) -> None:
    """Forget the answers to everybody's enrolment: where there is no library, nobody is in it twice."""
    answer = IdempotencyRow.answer
    await tx.execute(
        delete(IdempotencyRow).where(
            IdempotencyRow.owner == owner,
            answer["library_id"].as_string() == library,
            answer["person_id"].as_string().is_not(None),
        )
    )


async def note(tx: Writing, owner: UUID, request: KnownRequest | None, answer: dict[str, Any]) -> None:
    """Keep the answer to a request whose key was taken."""
    if request is not None:
        mine = (IdempotencyRow.owner == owner) & (IdempotencyRow.key == request.key)
        await tx.execute(update(IdempotencyRow).where(mine).values(answer=answer))
