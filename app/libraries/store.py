"""Libraries and the people in them as their owners look after them: make, list, rename."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.db.ids import new_id
from app.db.library_tables import LibraryRow, PersonFaceRow, PersonRow
from app.errors import Conflict
from app.libraries.rows import (
    known_person,
    library_of,
    owned_library,
    person_of,
    select_libraries,
    select_persons,
)
from app.libraries.values import Library, Person, PersonFace
from pipelines.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.db.engine import Database
    from app.plans import Plan
    from app.tasks.signing import TextSigner

_LIBRARIES_CURSOR, _PERSONS_CURSOR = "libraries", "persons"


class LibraryStore:
    """All libraries, each open to its owner alone."""

    def __init__(self, database: Database, signer: TextSigner, space: str) -> None:
        self._database = database
        self._signer = signer
        self._space = space

    async def create(
        self, owner: UUID, plan: Plan, handle: str, name: str | None, description: str | None
    ) -> Library:
        """Make a library for the network that runs here.

        Raises:
            Conflict: the identifier is taken, or the plan has no room for another library.
        """
        now = utc_now()
        row = {
            "id": new_id(now),
            "owner": owner,
            "handle": handle,
            "name": name,
            "description": description,
            "space": self._space,
            "revision": 0,
            "forgotten_revision": 0,
            "next_number": 1,
            "person_count": 0,
            "face_count": 0,
            "created_at": now,
            "updated_at": now,
        }
        try:
            async with self._database.transaction() as tx:
                await tx.execute(insert(LibraryRow).values(row))
                count = select(func.count()).select_from(LibraryRow).where(LibraryRow.owner == owner)
                if plan.libraries is not None and (await tx.scalar(count) or 0) > plan.libraries:
                    message = f"The plan has room for {plan.libraries} libraries."
                    raise Conflict(message)
                return await owned_library(tx, owner, handle)
        except IntegrityError as error:
            message = "This library_id is taken."
            raise Conflict(message) from error

    async def get(self, owner: UUID, handle: str) -> Library:
        """Return a library.

        Raises:
            NotFound: there is none.
            Forbidden: it is another's.
        """
        async with self._database.read() as tx:
            return await owned_library(tx, owner, handle)

    async def page(self, owner: UUID, limit: int, cursor: str | None) -> tuple[list[Library], str | None]:
        """Return an owner's libraries, newest first, and the cursor of the next page.

        Raises:
            InvalidOption: the cursor is none of ours.
        """
        query = select_libraries().where(LibraryRow.owner == owner)
        if cursor is not None:
            before = _believed(await self._signer.open(cursor, _LIBRARIES_CURSOR, owner.hex))
            query = query.where(LibraryRow.id < UUID(before))
        async with self._database.read() as tx:
            rows = await tx.execute(query.order_by(LibraryRow.id.desc()).limit(limit + 1))
            found = [library_of(row) for row in rows]
        if len(found) <= limit:
            return found, None
        last = found[limit - 1].id.hex
        return found[:limit], await self._signer.seal(last, _LIBRARIES_CURSOR, owner.hex)

    async def change(self, owner: UUID, handle: str, changes: Mapping[str, str | None]) -> Library:
        """Give a library another `name` or `description`."""
        async with self._database.transaction() as tx:
            library = await owned_library(tx, owner, handle, lock=True)
            await tx.execute(
                update(LibraryRow).where(LibraryRow.id == library.id).values(**changes, updated_at=utc_now())
            )
            return await owned_library(tx, owner, handle)

    async def persons(
        self, owner: UUID, handle: str, limit: int, cursor: str | None
    ) -> tuple[list[Person], str | None]:
        """Return people in the order of their enrolment, and the cursor of the next page.

        Raises:
            InvalidOption: the cursor is none of ours, or another library's.
        """
        async with self._database.read() as tx:
            library = await owned_library(tx, owner, handle)
        query = select_persons().where(PersonRow.library_id == library.id)
        if cursor is not None:
            after = _believed(await self._signer.open(cursor, _PERSONS_CURSOR, library.id.hex))
            query = query.where(PersonRow.number > int(after))
        async with self._database.read() as tx:
            rows = await tx.execute(query.order_by(PersonRow.number).limit(limit + 1))
            found = [person_of(row) for row in rows]
        if len(found) <= limit:
            return found, None
        last = str(found[limit - 1].number)
        return found[:limit], await self._signer.seal(last, _PERSONS_CURSOR, library.id.hex)

    async def person(self, owner: UUID, handle: str, person: str) -> tuple[Person, list[PersonFace]]:
        """Return somebody with the faces they are known by.

        Raises:
            NotFound: there is nobody of that identifier.
        """
        async with self._database.read() as tx:
            library = await owned_library(tx, owner, handle)
            found = await known_person(tx, library, person)
            rows = await tx.execute(
                select(
                    PersonFaceRow.id,
                    PersonFaceRow.quality,
                    PersonFaceRow.created_at,
                    PersonFaceRow.thumbnail_key,
                )
                .where(PersonFaceRow.library_id == library.id, PersonFaceRow.number == found.number)
                .order_by(PersonFaceRow.id)
            )
            return found, [PersonFace(**row._asdict()) for row in rows]

    async def change_person(
        self, owner: UUID, handle: str, person: str, changes: Mapping[str, Any]
    ) -> Person:
        """Give somebody another `name` or `metadata`."""
        values = {"note" if name == "metadata" else name: value for name, value in changes.items()}
        async with self._database.transaction() as tx:
            library = await owned_library(tx, owner, handle, lock=True)
            found = await known_person(tx, library, person)
            await tx.execute(
                update(PersonRow)
                .where(PersonRow.library_id == library.id, PersonRow.number == found.number)
                .values(**values, updated_at=utc_now())
            )
            return await known_person(tx, library, person)


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(timezone.utc)


def _believed(opened: str | None) -> str:
    if opened is None:
        message = "cursor: not one that this service gave out for this list."
        raise InvalidOption(message)
    return opened
