"""Who the people of a task's media are, as their library knows them when the media has been looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from app.libraries.answers import match_answer
from pipelines.errors import SwitchedOff

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from app.libraries.values import Library, Match
    from app.tasks.values import TaskOptions
    from pipelines.similarity import Calibration

#: Faces that are searched for together.
_TOGETHER: Final = 256
#: From this score on two unknown tracks are taken to be one person: each is compared with every other, so it
#: takes more than what is enough for two faces.
REUNION_SCORE: Final = 0.80


class KnowsPeople(Protocol):
    """Finds people in libraries; `app.libraries.recognition.Recognizer` does."""

    @property
    def calibration(self) -> Calibration:
        """Return what similarities mean."""

    async def library(self, owner: uuid.UUID, handle: str) -> Library:
        """Return a library that can be searched here."""

    async def matches(
        self, library: Library, vectors: NDArray[np.float32], count: int = 1
    ) -> list[list[Match]]:
        """Return who each face may be, best first."""


async def who_recognizes(
    people: KnowsPeople | None, options: TaskOptions, owner: uuid.UUID
) -> WhoIsWho | None:
    """Return who tells who somebody is, None where that is not asked.

    Raises:
        SwitchedOff: nobody here knows people.
        NotFound: the library was deleted meanwhile.
        Forbidden: it is another's by now.
        Conflict: it was built with another network.
    """
    if not options.recognize or options.library_id is None:
        return None
    if people is None:
        message = "recognition needs an embedding network, which is not there"
        raise SwitchedOff(message)
    await people.library(owner, options.library_id)
    return WhoIsWho(people, owner, options.library_id, options.top_k)


class WhoIsWho:
    """Knows the people of one library, for one task.

    Args:
        people: who knows everybody.
        owner: of the task.
        handle: of the library.
        top_k: people that are told for each face, at most.
    """

    def __init__(self, people: KnowsPeople, owner: uuid.UUID, handle: str, top_k: int) -> None:
        self._people = people
        self._owner = owner
        self._handle = handle
        self._top_k = top_k

    @property
    def reunion(self) -> float:
        """Return the cosine from which on two unknown tracks are one person."""
        return self._people.calibration.cosine(REUNION_SCORE)

    async def matches(self, vectors: NDArray[np.float32]) -> Sequence[Sequence[Mapping[str, Any]]]:
        """Return who each face may be, best first, as it is shown.

        Raises:
            NotFound: the library was deleted meanwhile.
        """
        found: list[list[dict[str, Any]]] = []
        for piece in in_pieces(vectors):
            # Read anew each time: who is erased meanwhile is not named.
            library = await self._people.library(self._owner, self._handle)
            rows = await self._people.matches(library, piece, self._top_k)
            found += [[_shown(match) for match in row] for row in rows]
        if not len(vectors):
            await self._people.library(self._owner, self._handle)
        return found


def in_pieces(vectors: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Yield as many vectors at once as are searched for together."""
    for start in range(0, len(vectors), _TOGETHER):
        yield vectors[start : start + _TOGETHER]


def _shown(match: Match) -> dict[str, Any]:
    # What the owner noted of somebody would come with each face of each frame.
    return {name: value for name, value in match_answer(match).items() if name != "metadata"}
