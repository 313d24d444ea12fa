"""Write many rows with few words: one interface over SQLAlchemy and over bare SQLite.

SQLAlchemy spends about a millisecond on the statements of one request that is kept, most of it on work whose
outcome never changes. For SQLite the very same statements are therefore turned into text once, and the rows
into what the file holds. Both are what SQLAlchemy would make of them, so either reads what the other wrote.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from pydantic_core import to_json
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import CompoundSelect, Connection, Dialect, Insert, Select

_NAMED = sqlite.dialect(paramstyle="named")
_MOMENT = "%Y-%m-%d %H:%M:%S.%f"
_PLAIN: dict[type, Callable[[Any], object]] = {
    uuid.UUID: lambda value: value.hex,
    datetime: lambda value: value.astimezone(timezone.utc).strftime(_MOMENT),
    dict: lambda value: to_json(value).decode(),
}


class Bulk(Protocol):
    """A transaction that rows are written in.

    Attributes:
        dialect: whose words the statements are to be made of.
    """

    dialect: Dialect

    def run(self, statement: Insert, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; each names all columns."""

    def run_returning(
        self, statement: Insert, rows: Sequence[Mapping[str, Any]]
    ) -> Sequence[tuple[Any, ...]]:
        """Insert rows and give back what the statement says to return."""


class EngineBulk:
    """By SQLAlchemy, on any database."""

    def __init__(self, connection: Connection) -> None:
        self.dialect = connection.dialect
        self._connection = connection

    def run(self, statement: Insert, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows."""
        self._connection.execute(statement, rows)

    def run_returning(
        self, statement: Insert, rows: Sequence[Mapping[str, Any]]
    ) -> Sequence[tuple[Any, ...]]:
        """Insert rows and give back what the statement says to return."""
        return [tuple(row) for row in self._connection.execute(statement, rows)]


class PlainBulk:
    """By SQLite's own driver."""

    dialect: Dialect = _NAMED

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def run(self, statement: Insert, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows."""
        self._cursor.executemany(_text(statement), [_plain(row) for row in rows])

    def run_returning(
        self, statement: Insert, rows: Sequence[Mapping[str, Any]]
    ) -> Sequence[tuple[Any, ...]]:
        """Insert rows and give back what the statement says to return, as the driver has it."""
        text = _text(statement)
        return [found for row in rows for found in self._cursor.execute(text, _plain(row)).fetchall()]


@cache
def _text(statement: Insert) -> str:
    """Return what SQLite is told. Statements are constants of their modules, so there are few."""
    return str(statement.compile(dialect=_NAMED))


def ask_plainly(cursor: sqlite3.Cursor, question: Select[Any] | CompoundSelect[Any]) -> list[Any]:
    """Return the first column of the answer, as the driver has it."""
    compiled = question.compile(dialect=_NAMED, compile_kwargs={"render_postcompile": True})
    return [row[0] for row in cursor.execute(str(compiled), compiled.params)]


def _plain(row: Mapping[str, Any]) -> dict[str, object]:
    plain: dict[str, object] = {}
    for name, value in row.items():
        convert = _PLAIN.get(type(value))
        plain[name] = value if convert is None else convert(value)
    return plain
