"""One vector for a person, from all pictures of them.

    vectors, qualities -> weighted mean -> how near is each to it? -> weights -> mean ... -> length one

A picture counts by its quality and by how much it agrees with the others: one of somebody else, enrolled by
mistake, ends up with a twentieth of its weight where the others agree. Of two pictures neither is the odd
one out, so they count by their quality alone.

A face's similarity to a person is its cosine with this vector. What differs from picture to picture (light,
pose, the camera) averages out and what they share stays, so it grows with the number of pictures for the
person, and hardly for strangers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipelines.embed_faces import unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Cosines with the mean under which a picture counts least, and from which it counts whole.
_ODD, _AGREES = 0.25, 0.55
#: What is left of the weight of a picture that agrees with nothing.
_LEAST = 0.05
#: What is left of the weight of a picture without any quality.
_LEAST_QUALITY = 0.05
_ROUNDS = 10


def template_of(vectors: NDArray[np.float32], qualities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return a person's vector, float32 [D], of length one.

    Args:
        vectors: float32 [N, D], of length one; at least one.
        qualities: [N], 0..1.
    """
    trusted = np.maximum(np.asarray(qualities, np.float64), _LEAST_QUALITY)
    weights = trusted
    for _ in range(_ROUNDS if len(vectors) > 2 else 0):  # noqa: PLR2004 - of two neither is the odd one
        weights = trusted * agreements(vectors, weights)
    return _mean(vectors, weights)


def agreements(vectors: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much each vector agrees with the weighted mean of the others, from `_LEAST` to 1."""
    total = (weights[:, None] * vectors).sum(axis=0)
    others = unit((total - weights[:, None] * vectors).astype(np.float32))
    cosines = (others * vectors).sum(axis=1)
    return np.asarray(np.clip((cosines - _ODD) / (_AGREES - _ODD), _LEAST, 1), np.float64)


def _mean(vectors: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    return unit((weights[:, None] * vectors).sum(axis=0).astype(np.float32))
