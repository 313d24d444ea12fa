"""Many small libraries: each is searched alone, and what lies in memory is bounded."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from sqlalchemy import insert

from app.db.library_tables import LibraryRow, PersonRow
from app.libraries.galleries import DatabaseGalleries
from app.libraries.values import packed
from pipelines.gallery.shelf import Shelf
from tests.app.libraries.speaking_pictures import SPACE, vector_of

if TYPE_CHECKING:
    from app.db.engine import Database

LIBRARIES, PEOPLE = 1000, 3
MOST_BYTES = 2_000_000


async def test_a_thousand_libraries_of_three(database: Database) -> None:
    """Each search finds its own library's person; memory stays under its bound all the time."""
    now = datetime.now(timezone.utc)
    libraries = [uuid.UUID(int=number + 1) for number in range(LIBRARIES)]
    made = {"owner": uuid.UUID(int=0), "space": SPACE, "revision": 1, "forgotten_revision": 0}
    times = {"created_at": now, "updated_at": now}
    async with database.transaction() as tx:
        await tx.execute(
            insert(LibraryRow),
            [
                {
                    "id": library,
                    "handle": library.hex,
                    "next_number": PEOPLE + 1,
                    "person_count": PEOPLE,
                    "face_count": PEOPLE,
                    **made,
                    **times,
                }
                for library in libraries
            ],
        )
        await tx.execute(
            insert(PersonRow),
            [
                {
                    "library_id": library,
                    "number": number,
                    "handle": str(number),
                    "template": packed(vector_of(f"{library.int} {number}")),
                    "revision": 1,
                    "face_count": 1,
                    **times,
                }
                for library in libraries
                for number in range(1, PEOPLE + 1)
            ],
        )
    shelf = Shelf(DatabaseGalleries(database), MOST_BYTES)
    for place, library in enumerate(libraries):
        number = place % PEOPLE + 1
        query = vector_of(f"{library.int} {number}", 2)[None]
        similarities, numbers = await shelf.search(library, 1, query, 2)
        assert numbers[0, 0] == number
        assert similarities[0, 0] > 0.45 > similarities[0, 1]
        assert shelf.nbytes <= MOST_BYTES
    assert len(shelf) > 100
    await shelf.close()
