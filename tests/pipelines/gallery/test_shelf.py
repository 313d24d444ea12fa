"""The galleries of a process: as new as is asked, no more than fit, and none waits for another library."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipelines.errors import DependencyDown, Overloaded
from pipelines.gallery.gallery import Changes
from pipelines.gallery.shelf import Shelf, TooOld

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

    from numpy.typing import NDArray

NO_NUMBERS = np.zeros(0, np.int64)
AXES = np.eye(8, dtype=np.float32)


class Truth:
    """Libraries in memory; each person is an axis."""

    def __init__(self) -> None:
        self.people: dict[Hashable, dict[int, NDArray[np.float32]]] = defaultdict(dict)
        self.log: dict[Hashable, list[tuple[int, bool]]] = defaultdict(list)
        self.loads: list[Hashable] = []
        self.slow: dict[Hashable, asyncio.Event] = {}
        self.forgets = False
        self.error: Exception | None = None

    def enrol(self, library: Hashable, number: int, axis: int) -> int:
        """Add a person and return the revision."""
        self.people[library][number] = AXES[axis]
        self.log[library].append((number, True))
        return len(self.log[library])

    def remove(self, library: Hashable, number: int) -> int:
        """Remove a person and return the revision."""
        del self.people[library][number]
        self.log[library].append((number, False))
        return len(self.log[library])

    async def size(self, library: Hashable) -> int:
        """Tell how many there are."""
        if self.error is not None:
            raise self.error
        return len(self.people[library])

    async def everything(self, library: Hashable) -> AsyncIterator[Changes]:
        """Yield everybody, one by one."""
        self.loads.append(library)
        revision = len(self.log[library])
        yield Changes(revision, NO_NUMBERS, AXES[:0], NO_NUMBERS)
        if library in self.slow:
            await self.slow[library].wait()
        for number, vector in list(self.people[library].items()):
            yield Changes(revision, np.array([number]), vector[None], NO_NUMBERS)

    async def since(self, library: Hashable, revision: int) -> Changes:
        """Return what was logged since."""
        if self.forgets:
            self.forgets = False
            raise TooOld
        changed = {number for number, _ in self.log[library][revision:]}
        here = [number for number in changed if number in self.people[library]]
        vectors = np.array([self.people[library][number] for number in here], np.float32).reshape(-1, 8)
        gone = np.array([number for number in changed if number not in self.people[library]], np.int64)
        return Changes(len(self.log[library]), np.array(here, np.int64), vectors, gone)


async def who(shelf: Shelf, library: Hashable, revision: int, axis: int) -> int:
    """Return the number of the person who looks like this axis."""
    _, numbers = await shelf.search(library, revision, AXES[axis : axis + 1], 1)
    return int(numbers[0, 0])


async def test_follows_what_changes() -> None:
    """A search sees every change up to the revision it names, and the library is loaded once."""
    truth = Truth()
    shelf = Shelf(truth, 10**9)
    for number in range(4):
        revision = truth.enrol("a", number, number)
        assert await who(shelf, "a", revision, number) == number
    revision = truth.remove("a", 2)
    assert await who(shelf, "a", revision, 2) != 2
    assert truth.loads == ["a"]
    await shelf.close()


async def test_loads_anew_where_the_past_is_forgotten() -> None:
    """A gallery too old to follow is loaded from the beginning."""
    truth = Truth()
    shelf = Shelf(truth, 10**9)
    assert await who(shelf, "a", truth.enrol("a", 1, 1), 1) == 1
    truth.forgets = True
    assert await who(shelf, "a", truth.enrol("a", 2, 2), 2) == 2
    assert truth.loads == ["a", "a"]
    await shelf.close()


async def test_a_slow_library_holds_up_nobody_else() -> None:
    """While one library loads others are searched; who waits for it too long is told how far it is."""
    truth = Truth()
    truth.slow["large"] = asyncio.Event()
    large, small = truth.enrol("large", 1, 1), truth.enrol("small", 2, 2)
    shelf = Shelf(truth, 10**9, patience_s=0.05)
    with pytest.raises(Overloaded, match="being loaded: 0%"):
        await who(shelf, "large", large, 1)
    assert shelf.loading() == {"large": 0.0}
    assert await asyncio.wait_for(who(shelf, "small", small, 2), 1) == 2
    truth.slow["large"].set()
    later = truth.enrol("large", 3, 3)
    assert await who(shelf, "large", later, 3) == 3
    assert await who(shelf, "large", large, 1) == 1
    assert truth.loads.count("large") == 1
    await shelf.close()


async def test_searches_of_one_library_share_its_loading() -> None:
    """Of many who ask at once, one loads."""
    truth = Truth()
    revision = truth.enrol("a", 1, 1)
    shelf = Shelf(truth, 10**9)
    found = await asyncio.gather(*(who(shelf, "a", revision, 1) for _ in range(20)))
    assert found == [1] * 20
    assert truth.loads == ["a"]
    await shelf.close()


async def test_memory_is_bounded() -> None:
    """Of more libraries than fit those asked for last stay; the others come back when they are asked for."""
    truth = Truth()
    shelf = Shelf(truth, 200_000)
    revisions = {library: truth.enrol(library, 1, library % 8) for library in range(100)}
    for library, revision in revisions.items():
        assert await who(shelf, library, revision, library % 8) == 1
    assert shelf.nbytes <= 200_000
    assert 5 < len(shelf) < 50
    before = len(truth.loads)
    assert await who(shelf, 99, revisions[99], 99 % 8) == 1
    assert len(truth.loads) == before
    assert await who(shelf, 0, revisions[0], 0) == 1
    assert len(truth.loads) == before + 1
    await shelf.close()


async def test_a_library_larger_than_the_bound_is_searched() -> None:
    """It takes the whole shelf, and that is better than no answer."""
    truth = Truth()
    shelf = Shelf(truth, 1)
    for library in ("a", "b"):
        assert await who(shelf, library, truth.enrol(library, 1, 1), 1) == 1
    assert len(shelf) == 1
    await shelf.close()


async def test_an_error_of_the_source_reaches_who_searches() -> None:
    """A database that is away fails the search and not the shelf."""
    truth = Truth()
    revision = truth.enrol("a", 1, 1)
    shelf = Shelf(truth, 10**9)
    truth.error = DependencyDown("the database does not answer")
    with pytest.raises(DependencyDown):
        await who(shelf, "a", revision, 1)
    truth.error = None
    assert await who(shelf, "a", revision, 1) == 1
    await shelf.close()
