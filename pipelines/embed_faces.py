"""How the faces of one picture look, as vectors that can be compared.

    faces -> crops on the five points -> network -> vectors of length one
                    '-> sharpness, brightness and so on -> quality, for those who weigh or refuse faces

Crops are drawn on the lane, where the pixels are; the network may be anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from pipelines.crops import draw_crops, placements, points_of
from pipelines.quality import QUALITY_CROP, WEIGHTS, brightness_of, factors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipelines.faces import Faces
    from pipelines.ports import CropNetwork, CropNetworks, Lane

#: What embedding networks look at: the crop that quality is measured on, too.
FACE_CROP: Final = QUALITY_CROP
#: Faces that are worked on together; what a crowd needs in memory is bounded by this.
GROUP: Final = 16
#: What is added to the name of a network whose vectors are means of a face and its mirror image.
FLIPPED: Final = "+flip"


@dataclass(frozen=True, slots=True)
class EmbeddedFaces:
    """How N faces look.

    Attributes:
        vectors: float32 [N, D], each of length one.
        factors: float64 [N, 5], what quality is made of; see `pipelines.quality`.
        brightness: float64 [N], 0 for black, 1 for white.
    """

    vectors: NDArray[np.float32]
    factors: NDArray[np.float64]
    brightness: NDArray[np.float64]

    def __len__(self) -> int:
        """Return how many faces there are."""
        return len(self.vectors)

    @property
    def qualities(self) -> NDArray[np.float64]:
        """Return how well each face can be used, 0..1."""
        return np.asarray(np.prod(self.factors**WEIGHTS, axis=1), np.float64)


class FaceEmbedder(Protocol):
    """Turns faces into vectors; it runs where the pixels are, and only crops leave that place."""

    @property
    def space(self) -> str:
        """Name what the vectors can be compared within: those of two spaces never can."""

    async def embed(self, pixels: NDArray[np.uint8], faces: Faces) -> EmbeddedFaces:
        """Return how each face looks: uint8 BGR [H, W, 3]."""


class CropEmbedder:
    """Embeds faces by one network of crops, in this process or in a pool.

    Args:
        networks: where the network is asked.
        name: the network's.
        lane: where crops are drawn.
        flip: embed the mirror image as well and take the mean: a little better, twice the time.
    """

    def __init__(self, networks: CropNetworks, name: str, lane: Lane, *, flip: bool = False) -> None:
        self._networks = networks
        self._name = name
        self._lane = lane
        self._flip = flip

    @property
    def space(self) -> str:
        """Name what the vectors can be compared within."""
        return space_of(self._name, flip=self._flip)

    async def embed(self, pixels: NDArray[np.uint8], faces: Faces) -> EmbeddedFaces:
        """Return how each face looks.

        Raises:
            DependencyDown: the network does not answer.
        """
        parts = []
        for group in _groups(faces):
            crops, found = await self._lane.run(_look, pixels, group)
            answer = await self._networks.answer({self._name: _asked(crops, flip=self._flip)})
            parts.append(EmbeddedFaces(_vectors(answer[self._name], flip=self._flip), *found))
        return _joined(parts)


def embed_here(
    network: CropNetwork, pixels: NDArray[np.uint8], faces: Faces, *, flip: bool = False
) -> EmbeddedFaces:
    """Return how each face looks, on the calling thread."""
    parts = []
    for group in _groups(faces):
        crops, found = _look(pixels, group)
        rows = network.answer(_asked(crops, flip=flip))
        parts.append(EmbeddedFaces(_vectors(rows, flip=flip), *found))
    return _joined(parts)


def space_of(name: str, *, flip: bool) -> str:
    """Return the name of the space of a network's vectors."""
    return name + FLIPPED if flip else name


def _groups(faces: Faces) -> list[Faces]:
    # One group at least, so that no faces come out in the right shape.
    starts = range(0, max(len(faces), 1), GROUP)
    return [faces.take(np.arange(start, min(start + GROUP, len(faces)))) for start in starts]


def _look(
    pixels: NDArray[np.uint8], faces: Faces
) -> tuple[NDArray[np.uint8], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the faces' crops, and what can be measured of them."""
    points = points_of(faces.boxes) if faces.points is None else faces.points
    matrices = placements(FACE_CROP, faces.boxes, points)
    crops = draw_crops(pixels, matrices, FACE_CROP.size)
    return crops, (factors(crops, matrices, points, faces.scores), brightness_of(crops))


def _asked(crops: NDArray[np.uint8], *, flip: bool) -> NDArray[np.uint8]:
    return np.concatenate([crops, crops[:, :, ::-1]]) if flip else crops


def _vectors(rows: NDArray[np.float32], *, flip: bool) -> NDArray[np.float32]:
    return unit(rows[: len(rows) // 2] + rows[len(rows) // 2 :]) if flip else rows


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows with length one; zeros, which have no direction, stay as they are."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)


def _joined(parts: list[EmbeddedFaces]) -> EmbeddedFaces:
    if len(parts) == 1:
        return parts[0]
    return EmbeddedFaces(
        np.concatenate([part.vectors for part in parts]),
        np.concatenate([part.factors for part in parts]),
        np.concatenate([part.brightness for part in parts]),
    )
