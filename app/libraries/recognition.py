"""Who is this? Faces as vectors in, people with scores out; used by searches and by tasks alike.

    library's row (owner, network, revision) -> shelf, at least that new -> numbers -> rows of people, as now

Every search reads the revision first, so whatever was answered before it is seen by it, in any process. Names
come from the rows: nobody who is erased meanwhile is named, and nobody by an old name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from app.db.library_tables import PersonRow
from app.libraries.rows import check_space, owned_library, person_of, select_persons
from app.libraries.values import Match
from pipelines.gallery.index import NOBODY
from pipelines.similarity import SAME_PERSON

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    import numpy as np
    from numpy.typing import NDArray

    from app.db.engine import Database
    from app.libraries.values import Library, Person
    from pipelines.gallery.shelf import Shelf
    from pipelines.similarity import Calibration

MOST_MATCHES: Final = 10
#: Looked at beyond what is asked for, in case somebody is erased between both questions.
_SPARE = 2


class Recognizer:
    """Finds people in libraries.

    Args:
        database: where they are.
        shelf: their vectors in memory.
        space: of the vectors that are made here.
        calibration: what their similarities mean.
    """

    def __init__(self, database: Database, shelf: Shelf, space: str, calibration: Calibration) -> None:
        self._database = database
        self.shelf = shelf
        self.space = space
        self.calibration = calibration

    async def library(self, owner: UUID, handle: str) -> Library:
        """Return a library that can be searched here.

        Raises:
            NotFound: there is none.
            Forbidden: it is another's.
            Conflict: it was built with another network.
        """
        async with self._database.read() as tx:
            library = await owned_library(tx, owner, handle)
        check_space(library, self.space)
        return library

    async def matches(
        self,
        library: Library,
        vectors: NDArray[np.float32],
        count: int = 1,
        min_score: float = SAME_PERSON,
    ) -> list[list[Match]]:
        """Return who each face may be, best first: people who score at least this, `count` at most.

        Args:
            library: as it was read just now.
            vectors: float32 [N, D], of length one.
            count: of people for each face.
            min_score: under this somebody is not named.
        """
        if not len(vectors) or not library.persons:
            return [[] for _ in range(len(vectors))]
        similarities, numbers = await self.shelf.search(library.id, library.revision, vectors, count + _SPARE)
        people = await self._people(library, {int(number) for number in numbers.ravel()} - {NOBODY})
        return [
            self._named(row, found, people, count, min_score)
            for row, found in zip(similarities, numbers, strict=True)
        ]

    async def known(self, library: Library, handles: Collection[str]) -> set[str]:
        """Return which of these people are in a library, with a face that they are known by."""
        query = select(PersonRow.handle).where(
            PersonRow.library_id == library.id,
            PersonRow.handle.in_(sorted(handles)),
            PersonRow.face_count > 0,
        )
        async with self._database.read() as tx:
            return set(await tx.scalars(query))

    async def _people(self, library: Library, numbers: set[int]) -> dict[int, Person]:
        query = select_persons().where(
            PersonRow.library_id == library.id, PersonRow.number.in_(sorted(numbers))
        )
        async with self._database.read() as tx:
            return {row.number: person_of(row) for row in await tx.execute(query)}

    def _named(
        self,
        similarities: NDArray[np.float32],
        numbers: NDArray[np.int64],
        people: dict[int, Person],
        count: int,
        min_score: float,
    ) -> list[Match]:
        found = []
        for similarity, number in zip(similarities.tolist(), numbers.tolist(), strict=True):
            person = people.get(number)
            score = self.calibration.score(similarity)
            if person is not None and score >= min_score:
                found.append(Match(person.handle, person.name, person.metadata, score, similarity))
        return found[:count]
