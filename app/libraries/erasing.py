"""Whoever is to be forgotten: somebody, or a library with everybody in it, out of stored results on request.

    one transaction: rows go, who is named in results is marked, a note in the audit log
    then, result by result: marked names are taken out

After the transaction nobody is recognised any more, and nothing can undo it. What a process that dies leaves
of the second part is done by the next one that looks (`finish`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sqlalchemy import delete, insert

from app import idempotency
from app.db.library_tables import DepartedRow, LibraryRow, PersonFaceRow, PersonRow
from app.libraries.enrolling import next_revision
from app.libraries.rows import known_person, owned_library
from app.libraries.store import utc_now
from app.libraries.thumbnails import let_go
from app.records.audit import write_audit

if TYPE_CHECKING:
    from uuid import UUID

    from app.db.engine import Database, Writing
    from app.libraries.thumbnails import Thumbnails
    from app.libraries.values import Library
    from app.records.values import Actor


class Mentions(Protocol):
    """Where else somebody may be named: results of tasks."""

    async def mark(self, tx: Writing, owner: UUID, library: str, person: str | None = None) -> int:
        """Note that somebody, or everybody of a library, is to go; return how many results name them."""

    async def erase_marked(self, database: Database, owner: UUID | None = None) -> None:
        """Take whoever is marked out of an owner's results, or of everybody's."""


class Erasure:
    """Forgets people.

    Args:
        database: where they are.
        mentions: where they may be named; None where nowhere.
        thumbnails: pictures of faces; None where nothing is kept.
    """

    def __init__(
        self, database: Database, mentions: Mentions | None = None, thumbnails: Thumbnails | None = None
    ) -> None:
        self._database = database
        self._mentions = mentions
        self._thumbnails = thumbnails

    async def person(
        self, owner: UUID, handle: str, person: str, actor: Actor, *, everywhere: bool = False
    ) -> int:
        """Erase somebody with all faces and note that it was done; return how many results named them.

        Args:
            owner: of the library.
            handle: of the library.
            person: who is to go.
            actor: who says so.
            everywhere: take them out of stored results as well.

        Raises:
            NotFound: there is nobody of that identifier.
            Forbidden: the library is another's.
        """
        now = utc_now()
        async with self._database.transaction() as tx:
            library = await owned_library(tx, owner, handle, lock=True)
            found = await known_person(tx, library, person)
            revision = await next_revision(tx, library, now, persons=-1, faces=-found.faces)
            theirs = (PersonFaceRow.library_id == library.id) & (PersonFaceRow.number == found.number)
            keys = await let_go(tx, theirs)
            await tx.execute(
                delete(PersonRow).where(PersonRow.library_id == library.id, PersonRow.number == found.number)
            )
            await tx.execute(
                insert(DepartedRow).values(
                    library_id=library.id, number=found.number, revision=revision, at=now
                )
            )
            await idempotency.forget_person(tx, owner, handle, person)
            mentions = await self._mark(tx, owner, handle, person) if everywhere else 0
            # The number and not the name: the note must not keep what was erased.
            detail = {"number": found.number, "faces": found.faces, "mentions": mentions}
            await write_audit(tx, actor, "person.erase", handle, detail)
        await self._remove(keys)
        if everywhere:
            await self._erase_mentions(owner, handle, person)
        return mentions

    async def library(
        self, owner: UUID, handle: str, actor: Actor, *, everywhere: bool = False
    ) -> tuple[Library, int]:
        """Remove a library with everybody in it, and note that; return what it was, and who named its people.

        Args:
            owner: of the library.
            handle: of the library.
            actor: who says so.
            everywhere: take everybody whom it ever knew out of stored results as well.

        Raises:
            NotFound: there is none.
            Forbidden: it is another's.
        """
        async with self._database.transaction() as tx:
            library = await owned_library(tx, owner, handle, lock=True)
            keys = await let_go(tx, PersonFaceRow.library_id == library.id)
            await tx.execute(delete(LibraryRow).where(LibraryRow.id == library.id))
            await idempotency.forget_library(tx, owner, handle)
            mentions = await self._mark(tx, owner, handle, None) if everywhere else 0
            detail = {"persons": library.persons, "faces": library.faces}
            if everywhere:
                detail["mentions"] = mentions
            await write_audit(tx, actor, "library.delete", handle, detail)
        await self._remove(keys)
        if everywhere:
            await self._erase_mentions(owner, handle, None)
        return library, mentions

    async def finish(self) -> None:
        """Go on with what a process that died has left."""
        if self._mentions is not None:
            await self._mentions.erase_marked(self._database)

    async def _mark(self, tx: Writing, owner: UUID, handle: str, person: str | None) -> int:
        return 0 if self._mentions is None else await self._mentions.mark(tx, owner, handle, person)

    async def _erase_mentions(self, owner: UUID, handle: str, person: str | None) -> None:
        if self._mentions is None:
            return
        async with self._database.transaction() as tx:
            # Once more: a task may have begun and ended between the first mark and its commit.
            await self._mentions.mark(tx, owner, handle, person)
        await self._mentions.erase_marked(self._database, owner)

    async def _remove(self, keys: list[str]) -> None:
        if self._thumbnails is not None:
            await self._thumbnails.remove(keys)
