"""What every detector here does alike: canvases in, blob, run, each picture's outputs to its decoder.

    canvases -> blob (planes split, cast, normalised; arrays used again) -> network -> decode -> Proposals

A family (SCRFD, YuNet, CenterFace) brings an `InputScaling` and a `Decoder`, both without state.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from pipelines.ports import Proposals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from models.session import BoundSession
    from pipelines.faces import Faces
    from pipelines.ports import DetectorSpec

_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class InputScaling:
    """How pixels become numbers: `(pixel - mean) * scale`, in RGB or BGR order."""

    rgb: bool
    mean: float = 0.0
    scale: float = 1.0


class Decoder(Protocol):
    """Turns the outputs of one picture into faces; `canvas_size` is height and width."""

    @property
    def has_points(self) -> bool:
        """Tell whether the five points come with each face."""

    def decode(
        self, outputs: Sequence[NDArray[np.float32]], canvas_size: tuple[int, int], confidence: float
    ) -> Faces:
        """Return every face at or above the confidence, in pixels of the canvas."""


class CanvasDetector:
    """A `DetectorNetwork` around a session; safe to call from several threads."""

    def __init__(
        self,
        spec: DetectorSpec,
        session: BoundSession,
        scaling: InputScaling,
        decoder: Decoder,
        max_batch: int,
    ) -> None:
        self._spec = spec
        self._session = session
        self._scaling = scaling
        self._decoder = decoder
        self._max_batch = max_batch
        self._local = threading.local()

    @property
    def spec(self) -> DetectorSpec:
        """Tell what the detector is."""
        return self._spec

    @property
    def max_batch(self) -> int:
        """Tell how many canvases may run together; 1 where batching is not proven."""
        return self._max_batch

    def propose(self, canvases: Sequence[NDArray[np.uint8]], confidences: Sequence[float]) -> list[Proposals]:
        """Return the proposals for each canvas: uint8 BGR [H, W, 3], all of one shape.

        Raises:
            ValueError: a shape that the network cannot take, or more canvases than `max_batch`.
        """
        self._check(canvases, confidences)
        started = perf_counter()
        height, width = canvases[0].shape[:2]
        shape = (len(canvases), _CHANNELS, height, width)
        blob = self._session.input_for(shape)
        for canvas, row in zip(canvases, blob, strict=True):
            fill_blob(canvas, self._planes(height, width), row, self._scaling)
        filled = perf_counter()
        outputs = self._session.run(shape)
        ran = perf_counter()
        return self._decode_all(outputs, (height, width), confidences, (filled - started, ran - filled))

    def _decode_all(
        self,
        outputs: Sequence[NDArray[np.float32]],
        canvas_size: tuple[int, int],
        confidences: Sequence[float],
        blob_and_run_s: tuple[float, float],
    ) -> list[Proposals]:
        count = len(confidences)
        blob_s, run_s = blob_and_run_s
        proposals = []
        for index, confidence in enumerate(confidences):
            started = perf_counter()
            faces = self._decoder.decode(_outputs_of(outputs, index, count), canvas_size, confidence)
            decode_s = perf_counter() - started
            proposals.append(Proposals(faces, blob_s * 1e3 / count, run_s * 1e3, decode_s * 1e3, count))
        return proposals

    def _planes(self, height: int, width: int) -> NDArray[np.uint8]:
        """Return this thread's scratch for the split channels of one canvas."""
        planes: NDArray[np.uint8] | None = getattr(self._local, "planes", None)
        if planes is None or planes.shape != (_CHANNELS, height, width):
            planes = self._local.planes = np.empty((_CHANNELS, height, width), np.uint8)
        return planes

    def _check(self, canvases: Sequence[NDArray[np.uint8]], confidences: Sequence[float]) -> None:
        if not 1 <= len(canvases) <= self._max_batch or len(canvases) != len(confidences):
            message = (
                f"{len(canvases)} canvases and {len(confidences)} confidences: "
                f"as many of each, and 1 to {self._max_batch}, expected"
            )
            raise ValueError(message)
        shape = canvases[0].shape
        stride = self._spec.stride
        if len(shape) != 3 or shape[2] != _CHANNELS or shape[0] % stride or shape[1] % stride or 0 in shape:  # noqa: PLR2004 - [H, W, 3]
            message = f"a canvas must be [H, W, 3] with sides that are multiples of {stride}, not {shape}"
            raise ValueError(message)
        for canvas in canvases:
            if canvas.shape != shape or canvas.dtype != np.uint8:
                message = f"uint8 {shape} expected like the first canvas, not {canvas.dtype} {canvas.shape}"
                raise ValueError(message)


def fill_blob(
    canvas: NDArray[np.uint8],
    planes: NDArray[np.uint8],
    blob: NDArray[np.float32],
    scaling: InputScaling,
) -> None:
    """Write one canvas into `blob`, float32 [3, H, W]; `planes` is scratch, uint8 [3, H, W].

    Splitting bytes first and casting whole planes then takes a twentieth of `cv2.dnn.blobFromImage`,
    and both arrays can be used again.
    """
    order = (2, 1, 0) if scaling.rgb else (0, 1, 2)
    cv2.split(canvas, [planes[channel] for channel in order])
    np.copyto(blob, planes)
    if scaling.mean:
        np.subtract(blob, np.float32(scaling.mean), out=blob)
    if scaling.scale != 1.0:
        np.multiply(blob, np.float32(scaling.scale), out=blob)


def _outputs_of(
    outputs: Sequence[NDArray[np.float32]], index: int, count: int
) -> Sequence[NDArray[np.float32]]:
    """Return one picture's outputs; a single picture's may lack the batch dimension."""
    return [output[index] if count > 1 or len(output) == 1 else output for output in outputs]
