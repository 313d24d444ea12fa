"""What the use cases need from outside, as protocols: who stands behind them is decided at start.

The web asks an `ImageEngine`; that use case asks a `Detector`, which is a network in this process or a
pool of replicas elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pipelines.faces import Faces
    from pipelines.results import Detection, DetectOptions, EncodeOptions, MaskedImage, MaskOptions

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """What a detector is, for those who feed it and those who show its name.

    Attributes:
        name: what the API calls it, for instance `yunet` or `scrfd_10g`.
        input_size: width and height of the square that a picture is fitted into; the canvas that is
            fed is the part of it that the picture covers, rounded up to `stride`.
        has_points: whether the five points come with each face.
        stride: canvas sides must be multiples of this.
    """

    name: str
    input_size: tuple[int, int]
    has_points: bool
    stride: int = 32


@dataclass(frozen=True, slots=True)
class Proposals:
    """What a detector says of one canvas, before overlapping boxes are dropped.

    Attributes:
        faces: in pixels of the canvas, every one at or above the confidence that was asked for.
        blob_ms: time to lay the canvas out as the network's input.
        inference_ms: time in the network, of the whole batch this canvas was part of.
        postprocess_ms: time to turn the network's output into faces.
        batch_size: how many canvases ran together.
    """

    faces: Faces
    blob_ms: float
    inference_ms: float
    postprocess_ms: float
    batch_size: int


class DetectorNetwork(Protocol):
    """A detector that runs here and now, on the calling thread."""

    @property
    def spec(self) -> DetectorSpec:
        """Tell what the detector is."""

    @property
    def max_batch(self) -> int:
        """Tell how many canvases of one shape may run together; 1 where batching is not proven."""

    def propose(self, canvases: Sequence[NDArray[np.uint8]], confidences: Sequence[float]) -> list[Proposals]:
        """Return the proposals for each canvas: uint8 BGR [H, W, 3], all of one shape."""


class Detector(Protocol):
    """A detector wherever it runs: on this process's lane, or in a pool of replicas."""

    @property
    def spec(self) -> DetectorSpec:
        """Tell what the detector is."""

    async def propose(self, canvases: Sequence[NDArray[np.uint8]], confidence: float) -> list[Proposals]:
        """Return the proposals for each canvas of one picture: uint8 BGR [H, W, 3], of any shapes."""


class Lane(Protocol):
    """Where work that would hold up the event loop is done."""

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the work elsewhere and return what it returns."""


class ImageEngine(Protocol):
    """All that the web needs: a picture's bytes in, what was found or a masked picture out."""

    @property
    def detectors(self) -> tuple[DetectorSpec, ...]:
        """List the loaded detectors, the default one first."""

    async def detect(self, data: bytes, options: DetectOptions) -> Detection:
        """Find the faces in a picture."""

    async def mask(
        self, data: bytes, options: DetectOptions, mask: MaskOptions, encode: EncodeOptions
    ) -> MaskedImage:
        """Find the faces in a picture and return it with the faces made unrecognisable."""

    async def ready(self) -> bool:
        """Tell whether a picture sent now would be answered."""
