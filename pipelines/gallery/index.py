"""Two indexes with one face: exact for the libraries that most people have, coded for the very large.

    exact  every vector at half precision, all of them compared: FAISS's flat inner product under an id map
    coded  512 sign bits a vector, all of them compared by FAISS's Hamming scan; the best of them (two
           thousand at most) are then compared at half precision

The coded index was chosen by measurement (`python -m cluster.bench.gallery`): embeddings of faces fill their
space evenly, so an index of cells, which lives on clusters, must look at two fifths of the vectors to find 99
in 100 of the nearest. The bits find them in one quick scan. There is nothing to train and nothing that goes
stale: a vector is added or removed by writing or moving one row.

Vectors need not be of length one: see `pipelines.template`. What is returned is the inner product.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

import faiss
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Up to this much memory of vectors, half precision, everything is compared: about 2 ms on one core.
EXACT_BYTES: Final = 16_000_000
#: Bits of a code; more find the nearest more surely, and take longer to scan.
CODE_BITS: Final = 512
#: Of how many vectors one is looked at closely, and how many at least and at most.
_SHARE, _FEWEST, MOST_CANDIDATES = 250, 500, 2000
#: Rows that are coded at a time.
_ROWS: Final = 8192
_HALF: Final = np.dtype(np.float16).itemsize
#: By how much the arrays of a full index grow.
_GROWTH: Final = 1.1
NOBODY: Final = -1


class VectorIndex(Protocol):
    """Vectors by number. Nothing else may go on in it while it is changed."""

    def __len__(self) -> int:
        """Return how many vectors there are."""

    @property
    def nbytes(self) -> int:
        """Tell how much memory they take."""

    def add(self, numbers: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors [N, D] under numbers that are not there."""

    def remove(self, numbers: NDArray[np.int64]) -> None:
        """Remove these numbers; those that are not there are fine."""

    def search(
        self, queries: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return inner products and numbers [Q, count], best first; `NOBODY` where there are no more."""

    def everything(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return all numbers and vectors."""


class ExactIndex:
    """All vectors compared, at half precision."""

    def __init__(self, dimensions: int) -> None:
        self._flat = faiss.IndexScalarQuantizer(
            dimensions, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        self._index = faiss.IndexIDMap2(self._flat)
        self._dimensions = dimensions

    def __len__(self) -> int:
        """Return how many vectors there are."""
        return int(self._index.ntotal)

    @property
    def nbytes(self) -> int:
        """Tell how much memory they take; FAISS's id map has some sixty bytes for each."""
        return len(self) * (self._dimensions * _HALF + 64)

    def add(self, numbers: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors under numbers that are not there."""
        self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), numbers)

    def remove(self, numbers: NDArray[np.int64]) -> None:
        """Remove these numbers."""
        if len(numbers):
            self._index.remove_ids(faiss.IDSelectorBatch(np.ascontiguousarray(numbers, np.int64)))

    def search(
        self, queries: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the best of all vectors."""
        products, numbers = self._index.search(np.ascontiguousarray(queries, np.float32), count)
        return products, numbers

    def everything(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return all numbers and vectors."""
        numbers = faiss.vector_to_array(self._index.id_map).astype(np.int64)
        if not len(self):
            return numbers, np.zeros((0, self._dimensions), np.float32)
        return numbers, self._flat.reconstruct_n(0, len(self))


class CodedIndex:
    """Bits of all vectors compared, then the best of them at half precision."""

    def __init__(self, dimensions: int, capacity: int = 0) -> None:
        self._dimensions = dimensions
        self._count = 0
        self._codes = np.zeros((capacity, CODE_BITS // 8), np.uint8)
        self._rows = np.zeros((capacity, dimensions), np.float16)
        self._numbers = np.zeros(capacity, np.int64)
        self._centre: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Return how many vectors there are."""
        return self._count

    @property
    def nbytes(self) -> int:
        """Tell how much memory they take."""
        return self._codes.nbytes + self._rows.nbytes + self._numbers.nbytes

    def add(self, numbers: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors under numbers that are not there."""
        if not len(numbers):
            return
        if self._centre is None:
            # Bits say most where they are set for half of the vectors. Any centre does, but it must not move.
            self._centre = np.asarray(vectors[:_ROWS].mean(axis=0), np.float32)
        end = self._count + len(numbers)
        if end > len(self._numbers):
            self._resize(max(end, int(len(self._numbers) * _GROWTH)))
        self._numbers[self._count : end] = numbers
        self._rows[self._count : end] = vectors
        for start in range(0, len(vectors), _ROWS):
            codes = self._coded(vectors[start : start + _ROWS])
            self._codes[self._count + start : self._count + start + len(codes)] = codes
        self._count = end

    def remove(self, numbers: NDArray[np.int64]) -> None:
        """Remove these numbers: the last rows take the places of those that go."""
        gone = np.flatnonzero(np.isin(self._numbers[: self._count], numbers))
        if not len(gone):
            return
        left = self._count - len(gone)
        is_gone = np.zeros(len(gone), bool)
        is_gone[gone[gone >= left] - left] = True
        movers, holes = left + np.flatnonzero(~is_gone), gone[gone < left]
        for array in (self._numbers, self._rows, self._codes):
            array[holes] = array[movers]
            array[left : self._count] = 0  # nothing of who was removed stays in memory
        self._count = left

    def search(
        self, queries: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the best of the vectors whose bits are nearest to the query's."""
        products = np.full((len(queries), count), -np.inf, np.float32)
        numbers = np.full((len(queries), count), NOBODY, np.int64)
        if not self._count:
            return products, numbers
        wanted = min(self._count, max(_FEWEST, min(MOST_CANDIDATES, self._count // _SHARE), 4 * count))
        _distances, rows = faiss.knn_hamming(
            self._coded(queries), self._codes[: self._count], wanted, variant="mc"
        )
        for place, query in enumerate(queries):
            # As a sum of products and not as BLAS's: that would wake threads for so little.
            near = rows[place][rows[place] >= 0]
            found = np.einsum("ij,j->i", self._rows[near].astype(np.float32), query)
            best = np.argsort(-found, kind="stable")[:count]
            products[place, : len(best)] = found[best]
            numbers[place, : len(best)] = self._numbers[near[best]]
        return products, numbers

    def everything(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return all numbers and vectors."""
        return self._numbers[: self._count].copy(), self._rows[: self._count].astype(np.float32)

    def _coded(self, vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
        centred = vectors if self._centre is None else vectors - self._centre
        return np.packbits(centred @ _directions(self._dimensions) > 0, axis=1)

    def _resize(self, capacity: int) -> None:
        # In place: the system moves pages instead of copying what is in them.
        self._numbers.resize(capacity, refcheck=False)
        self._rows.resize((capacity, self._dimensions), refcheck=False)
        self._codes.resize((capacity, CODE_BITS // 8), refcheck=False)


def index_for(count: int, dimensions: int) -> VectorIndex:
    """Return an empty index that suits this many vectors."""
    if count * dimensions * _HALF <= EXACT_BYTES:
        return ExactIndex(dimensions)
    return CodedIndex(dimensions, count)


def outgrown(index: VectorIndex, dimensions: int) -> VectorIndex | None:
    """Return the index that is to take the place of one that became too large for what it is."""
    # Some slack, so that a library of about this size is not turned over with every face.
    if isinstance(index, CodedIndex) or len(index) * dimensions * _HALF <= 1.25 * EXACT_BYTES:
        return None
    larger = CodedIndex(dimensions, int(len(index) * _GROWTH))
    larger.add(*index.everything())
    return larger


@lru_cache(maxsize=4)
def _directions(dimensions: int) -> NDArray[np.float32]:
    """Return the directions whose sides are the bits, float32 [D, bits]: random turns of all axes."""
    random = np.random.default_rng(dimensions)
    turns = -(-CODE_BITS // dimensions)
    parts = [np.linalg.qr(random.normal(size=(dimensions, dimensions)))[0] for _ in range(turns)]
    return np.ascontiguousarray(np.concatenate(parts, axis=1)[:, :CODE_BITS], np.float32)
