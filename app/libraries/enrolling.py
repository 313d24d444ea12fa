"""Changes of who is known, and by which faces: each is one transaction, and one step of the revision.

The library's row is locked first, so changes of one library come one after the other: two pictures of one
person that arrive together become one person with two faces, and a revision that is seen is complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import delete, insert, select, update

from app import idempotency
from app.db.ids import new_id
from app.db.library_tables import LibraryRow, PersonFaceRow, PersonRow
from app.errors import Conflict, NotFound
from app.libraries.rows import check_space, find_person, known_person, owned_library
from app.libraries.store import utc_now
from app.libraries.thumbnails import let_go, take_over
from app.libraries.values import MOST_FACES, Library, NewFace, Person, packed, unpacked
from pipelines.template import template_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from numpy.typing import NDArray

    from app.db.engine import Database, Writing
    from app.idempotency import KnownRequest
    from app.libraries.thumbnails import Thumbnails
    from app.plans import Plan


class Enrolment:
    """Changes libraries.

    Args:
        database: where they are.
        space: of the vectors that are made here.
        thumbnails: pictures of faces; None where nothing is kept.
    """

    def __init__(
        self,
        database: Database,
        space: str,
        thumbnails: Thumbnails | None = None,
    ) -> None:
        self._thumbnails = thumbnails
        self._database = database
        self._space = space

    async def thumbnail(self, picture: bytes, box: NDArray[np.float32]) -> str | None:
        """Keep a face of a picture, where that is wanted, and return its name for `NewFace`."""
        return None if self._thumbnails is None else await self._thumbnails.keep(picture, box)

    async def first_answer(self, owner: UUID, request: KnownRequest | None) -> dict[str, Any] | None:
        """Return what was answered to this request before.

        Raises:
            Conflict: the key was used with another request.
        """
        if request is None:
            return None
        async with self._database.read() as tx:
            return await idempotency.first_answer(tx, owner, request, utc_now()) or None

    async def enrol(
        self,
        owner: UUID,
        plan: Plan,
        handle: str,
        new: NewFace,
        answer_of: Callable[[Library, Person, UUID], dict[str, Any]],
        request: KnownRequest | None = None,
    ) -> dict[str, Any]:
        """Add a face to a person, who is made where there is none, and return the answer.

        Raises:
            NotFound: there is no such library.
            Forbidden: it is another's.
            Conflict: it was built with another network, or there is no room.
        """
        now = utc_now()
        async with self._database.transaction() as tx:
            answered = await idempotency.claim(tx, owner, request, now)
            if answered is not None:
                return answered
            library = await owned_library(tx, owner, handle, lock=True)
            check_space(library, self._space)
            person = await find_person(tx, library, new.person)
            number = await self._new_person(tx, library, plan, new, now) if person is None else person.number
            if person is not None and person.faces >= MOST_FACES:
                message = f"A person is known by {MOST_FACES} faces at most; remove some first."
                raise Conflict(message)
            face_id = new_id(now)
            await tx.execute(
                insert(PersonFaceRow).values(
                    id=face_id,
                    library_id=library.id,
                    number=number,
                    vector=packed(new.vector),
                    quality=new.quality,
                    created_at=now,
                    thumbnail_key=new.thumbnail_key,
                )
            )
            await take_over(tx, new.thumbnail_key)
            named = {
                name: value
                for name, value in (("name", new.name), ("note", new.metadata))
                if value is not None
            }
            await _renew(tx, library, number, now, faces=1, **named)
            changed = await owned_library(tx, owner, handle)
            answer = answer_of(changed, await known_person(tx, library, new.person), face_id)
            await idempotency.note(tx, owner, request, answer)
            return answer

    async def remove_face(self, owner: UUID, handle: str, face_id: UUID) -> Person:
        """Forget a face; return whom it was of, who stays even without any.

        Raises:
            NotFound: there is no such library or face.
            Forbidden: the library is another's.
        """
        now = utc_now()
        async with self._database.transaction() as tx:
            library = await owned_library(tx, owner, handle, lock=True)
            mine = (PersonFaceRow.id == face_id) & (PersonFaceRow.library_id == library.id)
            number = await tx.scalar(select(PersonFaceRow.number).where(mine))
            if number is None:
                message = "There is no such face in this library."
                raise NotFound(message)
            keys = await let_go(tx, mine)
            await tx.execute(delete(PersonFaceRow).where(mine))
            await _renew(tx, library, number, now, faces=-1)
            query = select(PersonRow.handle).where(
                PersonRow.library_id == library.id, PersonRow.number == number
            )
            person = await known_person(tx, library, (await tx.scalars(query)).one())
        await self._remove(keys)
        return person

    async def _remove(self, keys: list[str]) -> None:
        if self._thumbnails is not None:
            await self._thumbnails.remove(keys)

    async def _new_person(
        self, tx: Writing, library: Library, plan: Plan, new: NewFace, now: datetime
    ) -> int:
        if plan.persons_per_library is not None and library.persons >= plan.persons_per_library:
            message = f"The plan has room for {plan.persons_per_library} people in a library."
            raise Conflict(message)
        number = await tx.scalar(select(LibraryRow.next_number).where(LibraryRow.id == library.id)) or 1
        await tx.execute(
            insert(PersonRow).values(
                library_id=library.id,
                number=number,
                handle=new.person,
                name=None,
                note=None,
                template=None,
                revision=library.revision,
                face_count=0,
                created_at=now,
                updated_at=now,
            )
        )
        await tx.execute(
            update(LibraryRow)
            .where(LibraryRow.id == library.id)
            .values(next_number=number + 1, person_count=LibraryRow.person_count + 1)
        )
        return number


async def _renew(
    tx: Writing, library: Library, number: int, now: datetime, faces: int, **named: object
) -> None:
    """Make a person's template from the faces that there are now, as a new revision."""
    rows = (
        await tx.execute(
            select(PersonFaceRow.vector, PersonFaceRow.quality)
            .where(PersonFaceRow.library_id == library.id, PersonFaceRow.number == number)
            .order_by(PersonFaceRow.id)
        )
    ).all()
    template = None
    if rows:
        vectors = unpacked([row.vector for row in rows])
        template = packed(template_of(vectors, np.array([row.quality for row in rows])))
    revision = await next_revision(tx, library, now, faces=faces)
    await tx.execute(
        update(PersonRow)
        .where(PersonRow.library_id == library.id, PersonRow.number == number)
        .values(template=template, revision=revision, face_count=len(rows), updated_at=now, **named)
    )


async def next_revision(tx: Writing, library: Library, now: datetime, *, faces: int, persons: int = 0) -> int:
    """Make the library's next revision, whose row is locked, and return it."""
    revision = library.revision + 1
    await tx.execute(
        update(LibraryRow)
        .where(LibraryRow.id == library.id)
        .values(
            revision=revision,
            person_count=LibraryRow.person_count + persons,
            face_count=LibraryRow.face_count + faces,
            updated_at=now,
        )
    )
    return revision
