"""Rows of libraries as plain values, and the checks that every use of a library begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from app.db.library_tables import LibraryRow, PersonRow
from app.errors import Conflict, Forbidden, NotFound
from app.libraries.values import Library, Person

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import Label, Row, Select
    from sqlalchemy.orm import InstrumentedAttribute

    from app.db.engine import Reading

_LIBRARY: tuple[InstrumentedAttribute[Any] | Label[Any], ...] = (
    LibraryRow.id,
    LibraryRow.owner,
    LibraryRow.handle,
    LibraryRow.name,
    LibraryRow.description,
    LibraryRow.space,
    LibraryRow.revision,
    LibraryRow.person_count.label("persons"),
    LibraryRow.face_count.label("faces"),
    LibraryRow.created_at,
    LibraryRow.updated_at,
)
_PERSON: tuple[InstrumentedAttribute[Any] | Label[Any], ...] = (
    PersonRow.number,
    PersonRow.handle,
    PersonRow.name,
    PersonRow.note.label("metadata"),
    PersonRow.face_count.label("faces"),
    PersonRow.created_at,
    PersonRow.updated_at,
)


def select_libraries() -> Select[Any]:
    """Return a query for libraries."""
    return select(*_LIBRARY)


def select_persons() -> Select[Any]:
    """Return a query for people."""
    return select(*_PERSON)


def library_of(row: Row[Any]) -> Library:
    """Read a row."""
    return Library(**row._asdict())


def person_of(row: Row[Any]) -> Person:
    """Read a row."""
    return Person(**row._asdict())


async def owned_library(tx: Reading, owner: uuid.UUID, handle: str, *, lock: bool = False) -> Library:
    """Return a library; with a lock, nobody changes it before the transaction ends.

    Raises:
        NotFound: there is none.
        Forbidden: it is another's.
    """
    query = select_libraries().where(LibraryRow.handle == handle)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        message = "There is no such library."
        raise NotFound(message)
    library = library_of(row)
    if library.owner != owner:
        message = "This library belongs to another key."
        raise Forbidden(message)
    return library


async def find_person(tx: Reading, library: Library, handle: str) -> Person | None:
    """Return somebody, None where there is nobody of that identifier."""
    query = select_persons().where(PersonRow.library_id == library.id, PersonRow.handle == handle)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else person_of(row)


async def known_person(tx: Reading, library: Library, handle: str) -> Person:
    """Return somebody.

    Raises:
        NotFound: there is nobody of that identifier.
    """
    person = await find_person(tx, library, handle)
    if person is None:
        message = "There is no such person in this library."
        raise NotFound(message)
    return person


def check_space(library: Library, space: str) -> None:
    """Refuse vectors that cannot be compared with the library's.

    Raises:
        Conflict: the library was built with another network.
    """
    if library.space != space:
        message = (
            f"This library was built with the network {library.space} and this service runs {space}; "
            "enrol its people into a new library."
        )
        raise Conflict(message)
