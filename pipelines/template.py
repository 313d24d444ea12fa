"""One vector for a person, from all pictures of them.

    vectors, qualities -> weighted mean -> how near is each to it? -> weights -> mean ... -> length

A picture counts by its quality and by how much it agrees with the others: one of somebody else, enrolled by
mistake, ends up with a twentieth of its weight where the others agree. Of two pictures neither is the odd
one out, so they count by their quality alone.

A face's similarity to a person is its inner product with this vector. What differs from picture to picture
(light, pose, the camera) averages out and what they share stays, so it grows with the number of pictures.

It would grow for strangers too, a little: the cosine that one stranger in a thousand reaches is 0.365 for one
picture of LFW, and 0.382 for the mean of four. So the vector is not of length one but shorter, by the cube
root of the mean's own length, which keeps that cosine where it was measured. One picture's vector has length
one.
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
_SHORTER = 1 / 3


def template_of(vectors: NDArray[np.float32], qualities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return a person's vector, float32 [D], of length one at most.

    Args:
        vectors: float32 [N, D], of length one; at least one.
        qualities: [N], 0..1.
    """
    trusted = np.maximum(np.asarray(qualities, np.float64), _LEAST_QUALITY)
    weights = trusted
    for _ in range(_ROUNDS if len(vectors) > 2 else 0):  # noqa: PLR2004 - of two neither is the odd one
        weights = trusted * agreements(vectors, weights)
    mean = (weights[:, None] * vectors).sum(axis=0) / weights.sum()
    length = float(np.linalg.norm(mean))
    return np.asarray(unit(mean) * length**_SHORTER, np.float32)


def agreements(vectors: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much each vector agrees with the weighted mean of the others, from `_LEAST` to 1."""
    total = (weights[:, None] * vectors).sum(axis=0)
    others = unit((total - weights[:, None] * vectors).astype(np.float32))
    cosines = (others * vectors).sum(axis=1)
    return np.asarray(np.clip((cosines - _ODD) / (_AGREES - _ODD), _LEAST, 1), np.float64)
