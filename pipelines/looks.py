"""How a detector is shown a picture, twice or more, and how what it says of both becomes one list of faces.

    size -> Looks -> canvases: large, and small -> [detector] -> proposals of all -> candidates -> faces

The small canvas is for faces that fill the picture: there they have the size that detectors are trained for.
Where no small face may be overlooked there is one canvas more, larger than the large one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.boxes import best, suppress
from pipelines.canvas import fit, lay
from pipelines.faces import Faces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipelines.canvas import CanvasPool, Fit
    from pipelines.ports import DetectorSpec, Proposals

#: The longer side of the second, small canvas.
SMALL_SIDE = 128
#: A face of the small canvas counts if its shorter side covers this share of the picture's shorter side:
#: smaller ones are better seen on the large canvas, and there are false ones among them.
SMALL_SHARE = 0.4
#: Candidates that are looked at, the best ones; a confidence of 0 makes a candidate of every anchor.
_MAX_CANDIDATES = 5000


@dataclass(frozen=True, slots=True)
class Looks:
    """How pictures of one size are laid out.

    Attributes:
        size: width and height of the upright picture, whose pixels faces are told in.
        fits: of the canvases, from the largest to the small one, where there is one.
        full: of how many of them all faces count.
    """

    size: tuple[int, int]
    fits: tuple[Fit, ...]
    full: int = 1

    @property
    def large(self) -> Fit:
        """Return how the largest canvas is laid out."""
        return self.fits[0]


def looks_at(
    size: tuple[int, int],
    spec: DetectorSpec,
    small_side: int,
    *,
    square: bool = False,
    large_side: int = 0,
    more_side: int = 0,
) -> Looks:
    """Return how pictures of a size are shown to a detector.

    Args:
        size: width and height of the upright pictures.
        spec: of the detector.
        small_side: longer side of the second canvas; 0 shows pictures once.
        square: fill the detector's whole input square.
        large_side: longer side of the first canvas; 0 is the detector's own, as for a detector whose input
            is always that square.
        more_side: longer side of a canvas more; none where the first is as large, or always that square.
    """
    large = (large_side, large_side) if large_side and not square else spec.input_size
    fits = [fit(size, large, spec.stride, square=square)]
    if more_side > max(large) and not square:
        fits.insert(0, fit(size, (more_side, more_side), spec.stride))
    full = len(fits)
    if small_side:
        fits.append(fit(size, (small_side, small_side), spec.stride))
    return Looks(size, tuple(fits), full)


def lay_out(pixels: NDArray[np.uint8], looks: Looks, pool: CanvasPool) -> tuple[NDArray[np.uint8], ...]:
    """Return the canvases of a picture that may be scaled down already; each is drawn from the last."""
    canvases: list[NDArray[np.uint8]] = []
    for how in looks.fits:
        canvas = lay(pixels, how, pool)
        width, height = how.picture
        pixels = canvas[:height, :width]
        canvases.append(canvas)
    return tuple(canvases)


def candidates_of(proposals: Sequence[Proposals], looks: Looks) -> Faces:
    """Return what was found on the canvases, in pixels of the picture."""
    all_faces = [
        proposal.faces.scaled(1 / how.scale) for proposal, how in zip(proposals, looks.fits, strict=True)
    ]
    filling = [_filling(faces, looks.size) for faces in all_faces[looks.full :]]
    found = Faces.concat([*all_faces[: looks.full], *filling])
    if len(found) > _MAX_CANDIDATES:
        found = found.take(np.argsort(-found.scores, kind="stable")[:_MAX_CANDIDATES])
    return found


def faces_of(candidates: Faces, nms_threshold: float, max_faces: int = 0) -> Faces:
    """Return the candidates without those that overlap a better one; 0 keeps any number."""
    return best(suppress(candidates, nms_threshold), max_faces)


def _filling(faces: Faces, size: tuple[int, int]) -> Faces:
    """Return the faces that are large in their picture."""
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    return faces.take(sides.min(axis=1, initial=math.inf) >= SMALL_SHARE * min(size))
