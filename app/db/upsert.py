"""INSERT ... ON CONFLICT, which both databases know and SQLAlchemy spells once for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.base import PGDialect

if TYPE_CHECKING:
    from sqlalchemy import Dialect

    from app.db.tables import Table

#: For statements that are made once and kept.
DIALECTS: tuple[Dialect, ...] = (
    sqlite.dialect(),
    PGDialect(),  # type: ignore[no-untyped-call] # SQLAlchemy gives its constructor no types
)


def insert_for(dialect: Dialect, table: type[Table]) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that has `on_conflict_do_update` and `on_conflict_do_nothing`."""
    return sqlite.insert(table) if dialect.name == "sqlite" else postgresql.insert(table)
