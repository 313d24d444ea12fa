"""The 468-point mesh of a face: its layout, and the way from it to the 106 points of the 2d106 layout.

`mesh106.json` beside this file holds the mapping. Most of the 106 points are vertices of the mesh or means of
a few; the outline is resampled along the jaw. Pupils are the means of their lids: the mesh has none.
`mesh_mirror.json` tells which vertex is which on the other half of the face.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MESH_POINTS: Final = 468
LANDMARKS: Final = 106

#: The corners of the eye on the picture's left, outer and inner, then those of the other one.
_EYES: Final = ((33, 133), (263, 362))
_NOSE_TIP: Final = 4
_MOUTH: Final = (61, 291)


def to_landmarks(meshes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the 106 points of each mesh, float32 [N, 106, 2], from [N, 468, 2 or 3]."""
    means, jaws = _layout()
    points = meshes[:, :, :2].astype(np.float64)
    found = np.einsum("lm,nmd->nld", means, points)
    for line, places in jaws:
        resampled = _resample(points[:, line], len(places))
        for place, index in enumerate(places):
            if index is not None:
                found[:, index] = resampled[:, place]
    return np.asarray(found, np.float32)


def to_five_points(meshes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the five points of each mesh, float32 [N, 5, 2], as a detector gives them."""
    flat = meshes[:, :, :2]
    eyes = [flat[:, corners].mean(axis=1) for corners in _EYES]
    rest = [flat[:, index] for index in (_NOSE_TIP, *_MOUTH)]
    return np.asarray(np.stack([*eyes, *rest], axis=1), np.float32)


@lru_cache(maxsize=1)
def partners() -> NDArray[np.intp]:
    """Return for each vertex the one at its place on the other half of the face, [468]."""
    table = json.loads(resources.files("pipelines").joinpath("mesh_mirror.json").read_text("utf-8"))
    return np.array(table["partners"], np.intp)


def _resample(lines: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return `count` points spaced equally by length along each line, [N, count, 2] from [N, P, 2]."""
    steps = np.linalg.norm(np.diff(lines, axis=1), axis=2)
    # A line without length would divide by zero; its points are all the same anyway.
    lengths = np.maximum(np.concatenate([np.zeros((len(lines), 1)), steps.cumsum(axis=1)], axis=1), 0)
    shares = np.linspace(0, 1, count)
    resampled = np.empty((len(lines), count, 2))
    for row, (line, length) in enumerate(zip(lines, lengths, strict=True)):
        for axis in range(2):
            resampled[row, :, axis] = np.interp(shares * length[-1], length, line[:, axis])
    return resampled


@lru_cache(maxsize=1)
def _layout() -> tuple[NDArray[np.float64], list[tuple[list[int], list[int | None]]]]:
    """Return the means as a matrix [106, 468], and each jaw line with the indices of its points."""
    table = json.loads(resources.files("pipelines").joinpath("mesh106.json").read_text("utf-8"))
    means = np.zeros((LANDMARKS, MESH_POINTS))
    for index, vertices in table["mean_of_vertices"].items():
        means[int(index), vertices] = 1 / len(vertices)
    return means, [(jaw["polyline"], jaw["index_of_point"]) for jaw in table["jaw"]]
