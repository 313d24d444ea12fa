"""Who stays visible, or alone is hidden, in masked media: asked of a library once the media was looked at.

vectors of looks and tracks -> library -> who each may be -> `pipelines.redact.choose`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from app.tasks.recognizing import in_pieces
from pipelines.errors import InvalidOption, SwitchedOff
from pipelines.redact.choose import MAY_BE, Chosen

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

    import numpy as np
    from numpy.typing import NDArray

    from app.libraries.values import Library, Match
    from app.tasks.values import TaskOptions

#: People that are asked for each face: somebody else may resemble it more than who is meant.
_PEOPLE: Final = 10


class ComparesPeople(Protocol):
    """Finds people in libraries, unlikely ones as well; `app.libraries.recognition.Recognizer` does."""

    async def library(self, owner: uuid.UUID, handle: str) -> Library:
        """Return a library that can be searched here."""

    async def matches(
        self, library: Library, vectors: NDArray[np.float32], count: int, min_score: float
    ) -> list[list[Match]]:
        """Return who each face may be, best first."""

    async def known(self, library: Library, handles: Collection[str]) -> set[str]:
        """Return which of these people are in a library, with a face that they are known by."""


async def who_is_meant(
    people: ComparesPeople | None, options: TaskOptions, owner: uuid.UUID
) -> WhoIsMeant | None:
    """Return who knows who is meant, None where everybody is to be hidden.

    Raises:
        SwitchedOff: nobody here knows people.
        NotFound: the library was deleted meanwhile.
        Forbidden: it is another's by now.
        Conflict: it was built with another network.
        InvalidOption: somebody who is meant is not in it.
    """
    mask = options.mask
    if mask is None or options.library_id is None or not (mask.keep or mask.only):
        return None
    if people is None:
        message = "keep and only need an embedding network, which is not there"
        raise SwitchedOff(message)
    chosen = Chosen(frozenset(mask.keep or mask.only), stay=bool(mask.keep))
    meant = WhoIsMeant(people, owner, options.library_id, chosen)
    await meant.check()
    return meant


class WhoIsMeant:
    """Knows the chosen people of one library, for one task.

    Args:
        people: who knows everybody.
        owner: of the task.
        handle: of the library.
        chosen: who is meant.
    """

    def __init__(self, people: ComparesPeople, owner: uuid.UUID, handle: str, chosen: Chosen) -> None:
        self._people = people
        self._owner = owner
        self._handle = handle
        self.chosen = chosen

    async def check(self) -> None:
        """See to it that everybody who is meant can be recognised.

        Whoever is to be hidden and is not known would be shown.

        Raises:
            InvalidOption: somebody is not in the library.
        """
        library = await self._people.library(self._owner, self._handle)
        check_known(self.chosen, await self._people.known(library, self.chosen.persons))

    async def scores(self, vectors: NDArray[np.float32]) -> list[dict[str, float]]:
        """Return who each vector may be, likest first.

        Raises:
            NotFound: the library was deleted meanwhile.
            InvalidOption: somebody who is meant was.
        """
        found: list[dict[str, float]] = []
        for piece in in_pieces(vectors):
            library = await self._people.library(self._owner, self._handle)
            rows = await self._people.matches(library, piece, _PEOPLE, MAY_BE)
            found += [{match.person: match.score for match in row} for row in rows]
        await self.check()
        return found


def check_known(chosen: Chosen, known: Collection[str]) -> None:
    """Refuse people whom the library does not know.

    Raises:
        InvalidOption: there are some.
    """
    strangers = sorted(chosen.persons - set(known))
    if strangers:
        message = f"{'keep' if chosen.stay else 'only'}: {strangers[0]!r} is not in the library"
        raise InvalidOption(message)
