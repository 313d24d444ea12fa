"""One library's vectors in memory, as of a revision; changes make it a later one."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import faiss
import numpy as np

from pipelines.gallery.index import NOBODY, index_for, outgrown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pipelines.gallery.index import VectorIndex

#: What a library takes in memory that has nobody in it.
_EMPTY_BYTES = 8_000


@dataclass(frozen=True, slots=True)
class Changes:
    """What became of a library's people.

    Attributes:
        revision: what the library is at with these changes and all before.
        numbers: int64 [N], of those who are new or look different now.
        vectors: float32 [N, D].
        gone: int64 [M], of those who are there no more; a number that went never comes back.
    """

    revision: int
    numbers: NDArray[np.int64]
    vectors: NDArray[np.float32]
    gone: NDArray[np.int64]


class Gallery:
    """The vectors of one library. Any number of threads may search while nobody changes it.

    Args:
        expected: how many vectors there will be, where that is known.
    """

    def __init__(self, expected: int = 0) -> None:
        self._expected = expected
        self._index: VectorIndex | None = None
        self._access = _Access()
        self.revision = 0

    def __len__(self) -> int:
        """Return how many vectors there are."""
        return 0 if self._index is None else len(self._index)

    @property
    def nbytes(self) -> int:
        """Tell how much memory it takes."""
        return _EMPTY_BYTES + (0 if self._index is None else self._index.nbytes)

    def apply(self, changes: Changes) -> None:
        """Make the changes; the same ones a second time change nothing."""
        # Whoever came and went between two revisions stands in both lists.
        stays = ~np.isin(changes.numbers, changes.gone)
        numbers, vectors = changes.numbers[stays], changes.vectors[stays]
        with self._access.alone():
            _one_thread()
            if self._index is not None:
                self._index.remove(np.concatenate([changes.gone, numbers]))
            elif len(numbers):
                self._index = index_for(max(self._expected, len(numbers)), vectors.shape[1])
            if self._index is not None and len(numbers):
                self._index.add(numbers, vectors)
                self._index = outgrown(self._index, vectors.shape[1]) or self._index
            self.revision = changes.revision

    def search(
        self, queries: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return similarities and numbers [Q, count], best first; see `VectorIndex.search`."""
        with self._access.shared():
            _one_thread()
            if self._index is None:
                shape = (len(queries), count)
                return np.full(shape, -np.inf, np.float32), np.full(shape, NOBODY, np.int64)
            return self._index.search(queries, count)


def _one_thread() -> None:
    """Have FAISS stay on the calling thread: it counts threads for each caller anew.

    Searches run beside each other; several threads for each would wait for one another.
    """
    faiss.omp_set_num_threads(1)


class _Access:
    """Many who look, or one who changes; who wants to change is not kept waiting by newcomers."""

    def __init__(self) -> None:
        self._door = threading.Lock()
        self._looking = 0
        self._nobody = threading.Condition()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Look."""
        with self._door, self._nobody:
            self._looking += 1
        try:
            yield
        finally:
            with self._nobody:
                self._looking -= 1
                self._nobody.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Change."""
        with self._door:
            with self._nobody:
                self._nobody.wait_for(lambda: not self._looking)
            yield
