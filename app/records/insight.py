"""Questions about the whole installation, for whoever runs it: cheap ones, answered from few rows."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from app.db.tables import ApiKeyRow, CleanupTaskRow
from app.db.task_tables import MinutesUsedRow

if TYPE_CHECKING:
    import uuid

    from app.db.engine import Database


def month_of(now: datetime | None = None) -> str:
    """Return the month as minutes are counted in it."""
    return f"{now or datetime.now(timezone.utc):%Y-%m}"


async def seconds_used(database: Database, month: str) -> dict[uuid.UUID, float]:
    """Return how much media was analysed in a month for each owner, the greatest first."""
    query = (
        select(MinutesUsedRow.owner, MinutesUsedRow.media_s)
        .where(MinutesUsedRow.month == month)
        .order_by(MinutesUsedRow.media_s.desc())
    )
    async with database.read() as tx:
        return {row.owner: row.media_s for row in await tx.execute(query)}


async def names_of_keys(database: Database) -> dict[uuid.UUID, str]:
    """Return what each key is called."""
    async with database.read() as tx:
        return {row.id: row.name for row in await tx.execute(select(ApiKeyRow.id, ApiKeyRow.name))}


async def oldest_cleanup(database: Database, most: int) -> list[dict[str, Any]]:
    """Return the objects that wait longest for their removal."""
    row = CleanupTaskRow
    query = (
        select(row.object_key, row.attempts, row.last_error, row.next_try_at, row.created_at)
        .order_by(row.created_at)
        .limit(most)
    )
    async with database.read() as tx:
        return [found._asdict() for found in await tx.execute(query)]


async def database_facts(database: Database) -> tuple[int | None, str | None]:
    """Return how many bytes the database has, and the version of its schema."""
    size = (
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        if database.is_embedded
        else "SELECT pg_database_size(current_database())"
    )
    async with database.read() as tx:
        return await tx.scalar(text(size)), await tx.scalar(text("SELECT version_num FROM alembic_version"))
