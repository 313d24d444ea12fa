"""What the use cases need from outside, as protocols: who stands behind them is decided at start.

The web asks an `ImageEngine`; that use case asks a `Detector`, which is a network in this process or a
pool of replicas elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pipelines.attributes import Attribute, FaceAttributes
    from pipelines.crops import BoxCrop, CropRecipe
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


class Reading(str, Enum):
    """What a network answers to one crop, as a row of numbers.

    MESH: 468 points (x, y, depth) in pixels of the crop, then how sure it is of a face, 0..1.
    LANDMARKS: 106 points (x, y) in pixels of the crop.
    AGE: years.
    GENDER: how likely female, 0..1.
    AGE_AND_GENDER: years, then how likely female.
    EMOTION: how likely each emotion is, in the order of `pipelines.attributes.Emotion`.
    GLASSES, MASK: how likely the face wears it, 0..1.
    EMBEDDING: a vector of length one that lies close to others of the same person.
    """

    MESH = "mesh"
    LANDMARKS = "landmarks"
    AGE = "age"
    GENDER = "gender"
    AGE_AND_GENDER = "age_and_gender"
    EMOTION = "emotion"
    GLASSES = "glasses"
    MASK = "mask"
    EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class CropSpec:
    """What a network of crops is, for those who draw its crops and read its answers.

    Attributes:
        name: of the network.
        reading: what its rows mean.
        crops: what it looks at; answers to several crops of one face are averaged. All have one size.
        again: what it looks at once more, around the points that it found first; the mesh's. Of the same
            size; what is found in several is averaged.
    """

    name: str
    reading: Reading
    crops: tuple[CropRecipe, ...]
    again: tuple[BoxCrop, ...] = ()


class CropNetwork(Protocol):
    """A network that answers crops here and now, on the calling thread."""

    @property
    def spec(self) -> CropSpec:
        """Tell what the network is."""

    @property
    def max_batch(self) -> int:
        """Tell how many crops may run together; 1 where batching is not proven."""

    def answer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return a row for each crop: uint8 BGR [N, height, width, 3], any number of them."""


class CropNetworks(Protocol):
    """Networks of crops wherever they run: on this process's lane, or in a pool of replicas."""

    @property
    def specs(self) -> tuple[CropSpec, ...]:
        """List the loaded networks; of two that read the same the first is asked."""

    async def answer(self, crops: Mapping[str, NDArray[np.uint8]]) -> Mapping[str, NDArray[np.float32]]:
        """Return each named network's rows for its crops."""


class AttributeReader(Protocol):
    """Finds out what faces show; it runs where the pixels are, and only crops leave that place."""

    def check(self, wanted: Collection[Attribute]) -> None:
        """Refuse attributes that cannot be read here, before anything is done."""

    async def read(
        self, pixels: NDArray[np.uint8], faces: Faces, wanted: Collection[Attribute]
    ) -> tuple[FaceAttributes, ...]:
        """Return what each face shows, no more than was asked for: uint8 BGR [H, W, 3]."""


class Lane(Protocol):
    """Where work that would hold up the event loop is done."""

    @property
    def is_stuck(self) -> bool:
        """Tell whether work that began does not end."""

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
