"""A detector that needs no weights: every magenta blob of a canvas is a face of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipelines.faces import Faces
from pipelines.ports import DetectorSpec, Proposals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAGENTA_BGR = (255, 0, 255)


class BlobNetwork:
    """Finds magenta blobs; the five points are the box's middle, and larger blobs score higher."""

    def __init__(self, name: str = "blobs", input_size: tuple[int, int] = (640, 640)) -> None:
        self.spec = DetectorSpec(name, input_size, has_points=True)
        self.max_batch = 1
        self.seen: list[tuple[int, ...]] = []

    def propose(self, canvases: Sequence[NDArray[np.uint8]], confidences: Sequence[float]) -> list[Proposals]:
        """Return one face for each blob, in order of the canvas' rows."""
        return [
            self._one(canvas, confidence) for canvas, confidence in zip(canvases, confidences, strict=True)
        ]

    def _one(self, canvas: NDArray[np.uint8], confidence: float) -> Proposals:
        self.seen.append(canvas.shape)
        blue, green, red = (canvas[:, :, channel].astype(int) for channel in range(3))
        magenta = ((blue > 150) & (red > 150) & (green < 100)).astype(np.uint8)
        _count, _labels, stats, _centres = cv2.connectedComponentsWithStats(magenta)
        blobs = np.asarray(stats[1:], np.float32)
        boxes = np.concatenate([blobs[:, :2], blobs[:, :2] + blobs[:, 2:4]], axis=1)
        scores = np.float32(0.5) + blobs[:, 4] / np.float32(2 * canvas.shape[0] * canvas.shape[1])
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        points = np.repeat(middle[:, None], 5, axis=1)
        faces = Faces(boxes, scores.astype(np.float32), points)
        return [Proposals(faces.take(faces.scores >= confidence), 0.1, 0.2, 0.3, 1)][0]
