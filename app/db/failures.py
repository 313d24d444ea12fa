"""Tell a database that is away, full or busy from a mistake of ours.

What the database says becomes a `DependencyDown` or `Overloaded` for callers to try again; anything that is
not listed here is a bug and stays what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from pipelines.errors import DependencyDown, InvalidOption, Overloaded

if TYPE_CHECKING:
    import sqlite3

    from pipelines.errors import FacefleetError, Unavailable

RETRY_AFTER_S = 2

SILENT = "the database does not answer"
FULL = "insufficient storage for the database"
REFUSED = "the database refuses this service's login"
UNPREPARED = "the database is not ready yet"
BUSY = "the database is busy"
UNUSABLE = "the database cannot be used now"
NO_TEXT = "a text contains a character that cannot be kept"

#: PostgreSQL takes no NUL in a text, and none in JSON where it looks into it.
_NO_TEXT = ("22021", "22P05")
# The first that fits counts. PostgreSQL says it in five letters, SQLite in a sentence.
_BY_SQLSTATE = (
    ("53100", FULL),
    ("53", SILENT),
    ("08", SILENT),
    ("57P", SILENT),
    ("28", REFUSED),
    ("3D", REFUSED),
)
_BY_WORDS = (
    ("disk is full", FULL),
    ("unable to open", UNUSABLE),
    ("disk i/o error", UNUSABLE),
    ("attempt to write a readonly", UNUSABLE),
    ("is locked", UNUSABLE),
    ("connection is closed", SILENT),
    ("connection was closed", SILENT),
)


def as_told(error: SQLAlchemyError) -> FacefleetError | None:
    """Return what the caller is told, or None where the error is a bug."""
    if isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _NO_TEXT:
        return InvalidOption(NO_TEXT)
    return as_unavailable(error)


def as_unavailable(error: SQLAlchemyError) -> Unavailable | None:
    """Return what to say of a database that cannot be used now; None where that is not it."""
    if isinstance(error, NoConnectionFree):
        return Overloaded(BUSY, RETRY_AFTER_S)
    if not isinstance(error, DBAPIError):
        return None
    message = _message(error)
    return DependencyDown(message, RETRY_AFTER_S) if message else None


def from_sqlite(error: sqlite3.Error) -> Unavailable | None:
    """Return the same for what SQLite's own driver says."""
    message = _by_words(error)
    return DependencyDown(message, RETRY_AFTER_S) if message else None


def _message(error: DBAPIError) -> str | None:
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        return next((message for start, message in _BY_SQLSTATE if state.startswith(start)), None)
    return _by_words(error.orig) or (SILENT if error.connection_invalidated else None)


def _by_words(error: BaseException | None) -> str | None:
    words = str(error).lower()
    return next((message for sign, message in _BY_WORDS if sign in words), None)
