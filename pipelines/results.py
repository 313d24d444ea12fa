"""What a caller may ask of a picture, and what comes back. Plain values: they cross process borders."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.attributes import Attribute, FaceAttributes
    from pipelines.embed_faces import EmbeddedFaces
    from pipelines.faces import Faces


class MaskMethod(str, Enum):
    """How a face is made unrecognisable."""

    GAUSSIAN = "gaussian"
    PIXELATE = "pixelate"
    SOLID = "solid"
    ELLIPTICAL = "elliptical"


class ImageFormat(str, Enum):
    """What an output picture is encoded as."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """How to look for faces, and what to tell of each.

    `model` None means the default detector, `max_faces` 0 no limit, `embed` that faces become vectors too,
    and `more_side` the longer side of a canvas on which small faces are looked for as well; 0 is none.
    """

    confidence: float = 0.5
    nms_threshold: float = 0.4
    max_faces: int = 0
    model: str | None = None
    attributes: frozenset[Attribute] = frozenset()
    embed: bool = False
    more_side: int = 0


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """How to hide them; boxes grow by `padding` of their size on each side."""

    method: MaskMethod = MaskMethod.GAUSSIAN
    strength: int = 199
    padding: float = 0.15


@dataclass(frozen=True, slots=True)
class EncodeOptions:
    """How to write the picture that goes out."""

    format: ImageFormat = ImageFormat.JPEG
    quality: int = 95


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """The picture as it came, upright: width and height are those after EXIF orientation."""

    width: int
    height: int
    channels: int
    size_bytes: int
    format: str


@dataclass(frozen=True, slots=True)
class Profile:
    """Measured times in milliseconds; None where a stage did not run."""

    decode_ms: float
    preprocess_ms: float
    blob_ms: float
    inference_ms: float
    postprocess_ms: float
    nms_ms: float
    total_ms: float
    candidates_before_nms: int
    candidates_after_nms: int
    det_scale: float
    det_size: tuple[int, int]
    mask_ms: float | None = None
    encode_ms: float | None = None
    attributes_ms: float | None = None
    embedding_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Detection:
    """The faces of one picture, best first, in pixels of the upright picture.

    `attributes` has one entry for each face, or is None where none were asked for; so has `embedded`.
    """

    image: ImageInfo
    faces: Faces
    model: str
    input_size: tuple[int, int]
    options: DetectOptions
    profile: Profile
    attributes: tuple[FaceAttributes, ...] | None = None
    embedded: EmbeddedFaces | None = None


@dataclass(frozen=True, slots=True)
class MaskedImage:
    """The picture with its faces hidden, encoded, without any metadata of the original."""

    detection: Detection
    data: bytes
    format: ImageFormat
    regions: int
