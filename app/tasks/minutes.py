"""How much media each owner had analysed this month."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from sqlalchemy import select

from app.db.task_tables import MinutesUsedRow
from app.db.upsert import insert_for
from app.errors import RateLimited

if TYPE_CHECKING:
    import uuid

    from app.db.engine import Reading, Writing
    from app.plans import Plan

_DECEMBER = 12


async def check_minutes(tx: Reading, owner: uuid.UUID, plan: Plan, now: datetime) -> None:
    """Refuse where the month's minutes are used up.

    Raises:
        RateLimited: until the month turns.
    """
    if plan.monthly_minutes is None:
        return
    if await minutes_used(tx, owner, now) >= plan.monthly_minutes:
        message = f"The {plan.monthly_minutes} minutes of this month are used up; see Retry-After."
        raise RateLimited(message, max(1, int((_next_month(now) - now).total_seconds()) + 1))


async def minutes_used(tx: Reading, owner: uuid.UUID, now: datetime) -> float:
    """Return how many minutes of media were analysed in this month."""
    used = await tx.scalar(
        select(MinutesUsedRow.media_s).where(
            MinutesUsedRow.owner == owner, MinutesUsedRow.month == _month(now)
        )
    )
    return (used or 0.0) / 60


async def add_media(tx: Writing, owner: uuid.UUID, media_s: float, now: datetime) -> None:
    """Count media that was analysed."""
    if media_s <= 0:
        return
    statement = insert_for(tx.dialect, MinutesUsedRow).values(owner=owner, month=_month(now), media_s=media_s)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=[MinutesUsedRow.owner, MinutesUsedRow.month],
            set_={"media_s": MinutesUsedRow.media_s + statement.excluded.media_s},
        )
    )


def _month(now: datetime) -> str:
    return f"{now.astimezone(timezone.utc):%Y-%m}"


def _next_month(now: datetime) -> datetime:
    first = now.astimezone(timezone.utc).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (
        first.replace(year=first.year + 1, month=1)
        if first.month == _DECEMBER
        else first.replace(month=first.month + 1)
    )
