"""The database as the source of galleries: everybody in parts, or what changed since a revision.

Nothing here relies on several queries seeing one moment: the revision is read first, so what is read after
it is at least as new, and what is newer is told again by the next question.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast

import numpy as np
from sqlalchemy import delete, func, select, update

from app.db.library_tables import DepartedRow, LibraryRow, PersonRow
from app.errors import NotFound
from app.libraries.store import utc_now
from app.libraries.values import unpacked
from pipelines.gallery.gallery import Changes
from pipelines.gallery.shelf import TooOld

if TYPE_CHECKING:
    import uuid
    from collections.abc import AsyncIterator, Collection, Hashable, Sequence

    from sqlalchemy import Row

    from app.db.engine import Database, Reading

#: People that are read at a time.
PART = 20_000
#: More changes than this are read as a whole library, in parts.
MOST_CHANGES = 20_000
#: How long it is known who was erased. Galleries are brought up to date every minute; this is for clocks.
DEPARTED_LIVES = timedelta(days=1)
_NO_NUMBERS = np.zeros(0, np.int64)


class DatabaseGalleries:
    """Reads libraries as `pipelines.gallery.shelf.Shelf` wants them."""

    def __init__(self, database: Database, part: int = PART) -> None:
        self._database = database
        self._part = part

    async def size(self, library: Hashable) -> int:
        """Tell how many people a library has.

        Raises:
            NotFound: it was deleted.
        """
        async with self._database.read() as tx:
            query = select(LibraryRow.person_count).where(LibraryRow.id == library)
            found = (await tx.scalars(query)).one_or_none()
        if found is None:
            raise _gone()
        return found

    async def everything(self, library: Hashable) -> AsyncIterator[Changes]:
        """Yield all people of a library in parts.

        Raises:
            NotFound: it was deleted.
        """
        async with self._database.read() as tx:
            revision, _ = await _head(tx, library)
        yield Changes(revision, _NO_NUMBERS, np.zeros((0, 0), np.float32), _NO_NUMBERS)
        after = 0
        while True:
            query = (
                select(PersonRow.number, PersonRow.template)
                .where(
                    PersonRow.library_id == library, PersonRow.number > after, PersonRow.template.is_not(None)
                )
                .order_by(PersonRow.number)
                .limit(self._part)
            )
            async with self._database.read() as tx:
                rows = (await tx.execute(query)).all()
            if not rows:
                return
            yield _changes(revision, rows, ())
            after = rows[-1].number

    async def since(self, library: Hashable, revision: int) -> Changes:
        """Return what changed after a revision.

        Raises:
            NotFound: the library was deleted.
            TooOld: that is not known any more, or it is so much that all is less.
        """
        async with self._database.read() as tx:
            now, forgotten = await _head(tx, library)
            if revision < forgotten:
                raise TooOld
            query = (
                select(PersonRow.number, PersonRow.template)
                .where(PersonRow.library_id == library, PersonRow.revision > revision)
                .limit(MOST_CHANGES + 1)
            )
            rows = (await tx.execute(query)).all()
            gone = (
                await tx.scalars(
                    select(DepartedRow.number)
                    .where(DepartedRow.library_id == library, DepartedRow.revision > revision)
                    .limit(MOST_CHANGES + 1)
                )
            ).all()
        if len(rows) + len(gone) > MOST_CHANGES:
            raise TooOld
        return _changes(now, rows, gone)

    async def revisions(self, libraries: Collection[Hashable]) -> dict[Hashable, int]:
        """Return the revision of each of these that is still there."""
        wanted = [cast("uuid.UUID", library) for library in libraries]
        found: dict[Hashable, int] = {}
        for start in range(0, len(wanted), 500):
            query = select(LibraryRow.id, LibraryRow.revision).where(
                LibraryRow.id.in_(wanted[start : start + 500])
            )
            async with self._database.read() as tx:
                found |= {row.id: row.revision for row in await tx.execute(query)}
        return found

    async def forget_departed(self) -> None:
        """Forget who was erased long ago; whoever holds vectors that old loads them anew."""
        old = DepartedRow.at < utc_now() - DEPARTED_LIVES
        async with self._database.transaction() as tx:
            rows = await tx.execute(
                select(DepartedRow.library_id, func.max(DepartedRow.revision).label("last"))
                .where(old)
                .group_by(DepartedRow.library_id)
                .order_by(DepartedRow.library_id)
            )
            for row in rows.all():
                await tx.execute(
                    update(LibraryRow)
                    .where(LibraryRow.id == row.library_id)
                    .values(forgotten_revision=row.last)
                )
            await tx.execute(delete(DepartedRow).where(old))


async def _head(tx: Reading, library: Hashable) -> tuple[int, int]:
    query = select(LibraryRow.revision, LibraryRow.forgotten_revision).where(LibraryRow.id == library)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise _gone()
    return row.revision, row.forgotten_revision


def _changes(revision: int, rows: Sequence[Row[int, bytes | None]], gone: Sequence[int]) -> Changes:
    """Return rows as changes; whoever has no face left counts as gone for as long as that is so."""
    here = [(row.number, row.template) for row in rows if row.template is not None]
    faceless = [row.number for row in rows if row.template is None]
    return Changes(
        revision,
        np.array([number for number, _ in here], np.int64),
        unpacked([template for _, template in here]),
        np.array([*gone, *faceless], np.int64),
    )


def _gone() -> NotFound:
    return NotFound("There is no such library.")
