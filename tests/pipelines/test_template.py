"""A person's vector: better with more pictures, deaf to a wrong one, and no easier for strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipelines.template import template_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIMENSIONS = 128
#: The cosine of two pictures of one person, as it is in LFW for SFace.
SAME = 0.66


def directions(count: int, seed: int) -> NDArray[np.float32]:
    """Return strangers: any directions, around the mean that faces share."""
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSIONS)) + 0.33
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def pictures(person: NDArray[np.float32], count: int, seed: int) -> NDArray[np.float32]:
    """Return pictures of a person, whose cosines with each other are about `SAME`."""
    noise = np.random.default_rng(seed).normal(size=(count, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    rows = np.sqrt(SAME) * person + np.sqrt(1 - SAME) * noise
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_more_pictures_are_better() -> None:
    """With each further picture new ones of the person are more similar, and rank above all strangers."""
    means = []
    people = directions(60, 0)
    for count in (1, 2, 4, 8):
        templates = np.array(
            [template_of(pictures(each, count, 10 + n), np.ones(count)) for n, each in enumerate(people)]
        )
        seen = np.concatenate([pictures(each, 1, 900 + n) for n, each in enumerate(people)])
        means.append(float((seen * templates).sum(axis=1).mean()))
    assert means == sorted(means)
    assert means[-1] > means[0] + 0.05


@pytest.mark.parametrize("count", [2, 4, 8])
def test_strangers_gain_nothing(count: int) -> None:
    """What one stranger in a thousand reaches stays where it is for a single picture."""
    people, strangers = directions(80, 1), directions(4000, 2)
    alone = np.concatenate([pictures(each, 1, 50 + n) for n, each in enumerate(people)])
    templates = np.array(
        [template_of(pictures(each, count, 50 + n), np.ones(count)) for n, each in enumerate(people)]
    )
    reached = [float(np.quantile(strangers @ rows.T, 0.999)) for rows in (alone, templates)]
    assert reached[1] <= reached[0] + 0.005


def test_a_picture_of_somebody_else_hardly_counts() -> None:
    """One wrong picture among five moves the vector less than half as far as a plain mean would be moved."""
    person, other = directions(2, 3)
    right = pictures(person, 4, 4)
    wrong = np.concatenate([right, pictures(other, 1, 5)])
    clean = template_of(right, np.ones(4))
    plain = wrong.mean(axis=0)
    moved = [float(clean @ each / np.linalg.norm(each) / np.linalg.norm(clean)) for each in (plain,)]
    kept = template_of(wrong, np.ones(5))
    kept_cosine = float(clean @ kept / np.linalg.norm(kept) / np.linalg.norm(clean))
    assert 1 - kept_cosine < (1 - moved[0]) / 2
    seen = pictures(person, 20, 6)
    assert float((seen @ kept).mean()) > 0.95 * float((seen @ clean).mean())


def test_bad_pictures_count_less() -> None:
    """A picture without quality pulls the vector less than a good one."""
    first, second = directions(2, 7)
    vectors = np.stack([first, second])
    even, uneven = template_of(vectors, np.array([1.0, 1.0])), template_of(vectors, np.array([1.0, 0.1]))
    assert uneven @ first > even @ first
    assert uneven @ second < even @ second


def test_the_order_of_pictures_does_not_matter() -> None:
    """A template is made of what is there, not of how it came."""
    vectors = pictures(directions(1, 8)[0], 6, 9)
    qualities = np.linspace(0.2, 1, 6)
    turned = template_of(vectors[::-1], qualities[::-1])
    np.testing.assert_allclose(template_of(vectors, qualities), turned, atol=1e-5)


def test_one_picture_is_itself() -> None:
    """A single picture's vector is the template, whatever its quality."""
    vectors = directions(1, 11)
    np.testing.assert_allclose(template_of(vectors, np.array([0.0])), vectors[0], atol=1e-6)
