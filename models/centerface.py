"""CenterFace: one level of stride 4, a map of face centres with sizes, offsets and points beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.canvas_detector import InputScaling
from models.errors import BadWeights
from pipelines.faces import Faces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STRIDE = 4
SCALING = InputScaling(rgb=True)
_CHANNELS = [1, 2, 2, 10]


class CenterfaceDecoder:
    """Turns the outputs of one picture into faces: heat, sizes, offsets, points, each [C, H/4, W/4]."""

    @classmethod
    def recognise(
        cls, outputs: Sequence[NDArray[np.float32]], canvas_size: tuple[int, int]
    ) -> CenterfaceDecoder:
        """Make sure that the outputs are CenterFace's; sizes and offsets can be told apart by order only."""
        cells = (canvas_size[0] // STRIDE, canvas_size[1] // STRIDE)
        expected = [(1, channels, *cells) for channels in _CHANNELS]
        if [output.shape for output in outputs] != expected:
            message = f"not CenterFace: {expected} expected, not {[output.shape for output in outputs]}"
            raise BadWeights(message)
        return cls()

    @property
    def has_points(self) -> bool:
        """Tell whether the five points come with each face: always."""
        return True

    def decode(
        self,
        outputs: Sequence[NDArray[np.float32]],
        canvas_size: tuple[int, int],  # noqa: ARG002 - other families need it
        confidence: float,
    ) -> Faces:
        """Return every face at or above the confidence, in pixels of the canvas."""
        heat, sizes, offsets, points = outputs
        rows, columns = np.nonzero(heat[0] >= np.float32(confidence))
        if not len(rows):
            return Faces.none(with_points=True)
        # Every map holds y before x.
        size = np.exp(sizes[::-1, rows, columns].T) * np.float32(STRIDE)
        cells = np.stack([columns, rows], axis=1).astype(np.float32)
        centres = (cells + offsets[::-1, rows, columns].T + np.float32(0.5)) * np.float32(STRIDE)
        corners = centres - size / 2
        placed = points[:, rows, columns].T.reshape(-1, 5, 2)[:, :, ::-1]
        return Faces(
            np.concatenate([corners, corners + size], axis=1),
            heat[0, rows, columns],
            placed * size[:, None] + corners[:, None],
        )
