"""Indexes of vectors: what they find is what comparing everything finds, whatever came and went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.gallery.gallery import Changes, Gallery
from pipelines.gallery.index import CODE_BITS, NOBODY, CodedIndex, ExactIndex, index_for, outgrown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipelines.gallery.index import VectorIndex

KINDS = [ExactIndex, CodedIndex]
SMALL = 16


def faces(count: int, dimensions: int = 128, seed: int = 0) -> NDArray[np.float32]:
    """Return vectors spread like those of faces: evenly over all directions, around a common mean."""
    random = np.random.default_rng(seed)
    mean = np.full(dimensions, 0.31 / np.sqrt(dimensions))
    spread = mean + random.normal(size=(count, dimensions)) / np.sqrt(dimensions) * 0.95
    return np.asarray(spread / np.linalg.norm(spread, axis=1, keepdims=True), np.float32)


def again(vectors: NDArray[np.float32], cosine: float, seed: int = 1) -> NDArray[np.float32]:
    """Return other pictures of the same people, this far from the first ones."""
    noise = faces(len(vectors), vectors.shape[1], seed)
    noise = noise - (noise * vectors).sum(axis=1, keepdims=True) * vectors
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return np.asarray(cosine * vectors + np.sqrt(1 - cosine**2) * noise, np.float32)


@pytest.mark.parametrize("kind", KINDS)
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.lists(st.integers(0, 40), min_size=1, max_size=8, unique=True)),
        max_size=12,
    )
)
@settings(max_examples=40, deadline=None)
def test_equals_brute_force(kind: type[ExactIndex | CodedIndex], steps: list[tuple[bool, list[int]]]) -> None:
    """After any additions and removals exactly those are found who are there, best first."""
    index: VectorIndex = kind(SMALL)
    truth: dict[int, NDArray[np.float32]] = {}
    pool = faces(4000, SMALL).astype(np.float16).astype(np.float32)
    fresh = 0
    for is_added, numbers in steps:
        if is_added:
            new = [number for number in numbers if number not in truth]
            rows = pool[fresh : fresh + len(new)]
            fresh += len(new)
            index.add(np.array(new, np.int64), rows)
            truth |= dict(zip(new, rows, strict=True))
        else:
            index.remove(np.array(numbers, np.int64))
            for number in numbers:
                truth.pop(number, None)
    assert len(index) == len(truth)
    query = pool[-1:]
    products, found_numbers = index.search(query, 5)
    expected = sorted(truth, key=lambda number: -float(truth[number] @ query[0]))[:5]
    assert [number for number in found_numbers[0].tolist() if number != NOBODY] == expected
    close = [float(truth[number] @ query[0]) for number in expected]
    np.testing.assert_allclose(products[0][: len(expected)], close, atol=2e-3)
    found, rows = index.everything()
    assert dict(zip(found.tolist(), rows.tolist(), strict=True)) == {
        number: row.tolist() for number, row in truth.items()
    }


def test_the_coded_index_finds_the_nearest() -> None:
    """Of 20,000 people at least 99 in 100 are found from a picture that is hard to know them by."""
    people = faces(20_000)
    index = CodedIndex(128)
    index.add(np.arange(len(people)), people)
    queries = again(people[:300], 0.55)
    _, numbers = index.search(queries, 1)
    exact = np.argmax(queries @ people.T, axis=1)
    assert np.mean(numbers[:, 0] == exact) >= 0.99


@pytest.mark.parametrize("dimensions", [128, 512, 1024])
def test_any_size_of_vector_has_a_code(dimensions: int) -> None:
    """Short vectors are turned several times, long ones lose directions; the nearest is found in both."""
    people = faces(500, dimensions)
    index = CodedIndex(dimensions)
    index.add(np.arange(500), people)
    _, numbers = index.search(again(people[:50], 0.7), 1)
    assert (numbers[:, 0] == np.arange(50)).all()
    assert index.nbytes == 500 * (CODE_BITS // 8 + 2 * dimensions + 8)


def test_nothing_of_the_removed_stays_in_memory() -> None:
    """What was removed is overwritten, not only hidden."""
    index = CodedIndex(SMALL)
    index.add(np.arange(10), faces(10, SMALL))
    index.remove(np.arange(10))
    assert not index._rows.any()  # noqa: SLF001 - what lies in memory is the point
    assert not index._codes.any()  # noqa: SLF001 - as above


def test_a_library_changes_its_index_when_it_has_grown() -> None:
    """Small ones are compared whole; one that became too large for that is coded, with everybody in it."""
    small, large = index_for(60_000, 128), index_for(80_000, 128)
    assert isinstance(small, ExactIndex)
    assert isinstance(large, CodedIndex)
    people = faces(90_000)
    small.add(np.arange(1000), people[:1000])
    assert outgrown(small, 128) is None
    small.add(np.arange(1000, 90_000), people[1000:])
    larger = outgrown(small, 128)
    assert isinstance(larger, CodedIndex)
    assert len(larger) == 90_000
    _, numbers = larger.search(again(people[:50], 0.7), 1)
    assert (numbers[:, 0] == np.arange(50)).all()


def test_longer_vectors_win() -> None:
    """Products are ranked, not angles: a template may be shorter than one."""
    for kind in KINDS:
        index: VectorIndex = kind(SMALL)
        vector = faces(1, SMALL)
        index.add(np.array([1, 2]), np.concatenate([0.9 * vector, vector]).astype(np.float32))
        products, numbers = index.search(vector, 2)
        assert numbers[0].tolist() == [2, 1]
        np.testing.assert_allclose(products[0], [1, 0.9], atol=2e-3)


def test_changes_may_come_twice() -> None:
    """A gallery that hears the same changes again is what it was; whoever went is not brought back."""
    gallery = Gallery()
    people = faces(4, SMALL)
    gone = np.array([3], np.int64)
    changes = Changes(7, np.array([1, 2, 3], np.int64), people[:3], gone)
    for _ in range(2):
        gallery.apply(changes)
        assert (len(gallery), gallery.revision) == (2, 7)
    gallery.apply(Changes(8, np.array([2], np.int64), people[3:], np.zeros(0, np.int64)))
    products, numbers = gallery.search(people[3:], 1)
    assert (numbers[0, 0], len(gallery)) == (2, 2)
    assert products[0, 0] > 0.99


def test_an_empty_gallery_knows_nobody() -> None:
    """Before anybody is enrolled every search ends without an answer."""
    _, numbers = Gallery().search(faces(2), 3)
    assert (numbers == NOBODY).all()
