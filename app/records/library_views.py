"""Everybody's libraries, for whoever runs the installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.db.library_tables import LibraryRow
from app.libraries.rows import library_of, select_libraries

if TYPE_CHECKING:
    import uuid

    from app.db.engine import Database
    from app.libraries.values import Library


async def list_all_libraries(
    database: Database, limit: int, before: uuid.UUID | None = None
) -> list[Library]:
    """Return libraries of all owners, newest first; those older than `before` where it is given."""
    query = select_libraries().order_by(LibraryRow.id.desc()).limit(limit)
    if before is not None:
        query = query.where(LibraryRow.id < before)
    async with database.read() as tx:
        return [library_of(row) for row in await tx.execute(query)]


async def find_library(database: Database, handle: str) -> Library | None:
    """Return the library of this name, whoever's it is: no two have the same."""
    async with database.read() as tx:
        row = (await tx.execute(select_libraries().where(LibraryRow.handle == handle))).one_or_none()
        return None if row is None else library_of(row)
