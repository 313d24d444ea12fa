"""Pictures that say who is on them, and an engine that understands them: recognition without networks.

A picture is JSON in a data URL, or behind the bytes of a real one. Vectors of one person lie as close to each
other as SFace's do on LFW.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pipelines.embed_faces import EmbeddedFaces
from pipelines.errors import InvalidMedia
from pipelines.faces import Faces
from pipelines.ports import DetectorSpec
from pipelines.results import Detection, ImageInfo, Profile
from pipelines.similarity import Calibration

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipelines.results import DetectOptions, EncodeOptions, MaskedImage, MaskOptions

DIMENSIONS = 128
SPACE = "speaking"
#: SFace's, as the manifest has them.
CALIBRATION = Calibration((0.208, 0.299, 0.3659, 0.4215, 0.4721), 0.99, 0.99, 10, 100, 1000, "made up")
_SAME = 0.68
_FACES = b"#faces"


def shot(who: str, number: int = 1, **looks: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a face has
    """Return a face: somebody's, as it is on their picture of this number."""
    return {"who": who, "number": number, **looks}


def picture(*faces: dict[str, Any]) -> str:
    """Return the address of a picture with these faces."""
    return f"data:image/jpeg;base64,{base64.b64encode(json.dumps(faces).encode()).decode()}"


def portrait(who: str, number: int = 1, **looks: Any) -> str:  # noqa: ANN401 - as above
    """Return the address of a picture of somebody alone."""
    return picture(shot(who, number, **looks))


def photo(*faces: dict[str, Any]) -> bytes:
    """Return a file with these faces that is a picture for everybody else as well."""
    real = cv2.imencode(".png", np.zeros((1000, 2000, 3), np.uint8))[1].tobytes()
    return real + _FACES + json.dumps(faces).encode()


def vector_of(who: str, number: int = 1) -> NDArray[np.float32]:
    """Return how somebody looks on a picture."""
    mixed = np.sqrt(_SAME) * _direction(who) + np.sqrt(1 - _SAME) * _direction(f"{who} {number}")
    return np.asarray(mixed / np.linalg.norm(mixed), np.float32)


def _direction(name: str) -> NDArray[np.float64]:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    row = np.random.default_rng(seed).normal(size=DIMENSIONS)
    return np.asarray(row / np.linalg.norm(row), np.float64)


@dataclass
class SpeakingEngine:
    """Answers with the faces that a picture says it has."""

    is_ready: bool = True
    error: Exception | None = None
    detectors: tuple[DetectorSpec, ...] = (DetectorSpec("speaking", (640, 640), has_points=True),)
    looked: list[int] = field(default_factory=list)

    async def detect(self, data: bytes, options: DetectOptions) -> Detection:
        """Read the picture."""
        if self.error is not None:
            raise self.error
        try:
            faces = json.loads(data.rpartition(_FACES)[2])
        except ValueError as error:
            message = "The picture cannot be decoded."
            raise InvalidMedia(message) from error
        self.looked.append(len(faces))
        sides = [float(face.get("side", 120)) for face in faces]
        boxes = [[100.0 * at, 10.0, 100.0 * at + side, 10.0 + side] for at, side in enumerate(sides)]
        found = Faces(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array([face.get("score", 0.95) for face in faces], np.float32),
            np.array([_points(bool(face.get("turned"))) for face in faces], np.float32).reshape(-1, 5, 2),
        )
        profile = Profile(1, 1, 1, 1, 1, 1, 6, len(faces), len(faces), 1.0, (640, 640))
        return Detection(
            ImageInfo(2000, 1000, 3, len(data), "jpeg"),
            found,
            "speaking",
            (640, 640),
            options,
            profile,
            embedded=_embedded(faces) if options.embed else None,
        )

    async def mask(
        self, data: bytes, options: DetectOptions, mask: MaskOptions, encode: EncodeOptions
    ) -> MaskedImage:
        """Do nothing of the kind."""
        raise NotImplementedError

    async def ready(self) -> bool:
        """Say what the test decided."""
        return self.is_ready


def _points(is_turned: bool) -> list[list[float]]:  # noqa: FBT001 - a face's own word
    """Return five points of a head that looks at the camera, or away."""
    width = 10.0 if is_turned else 40.0
    return [[50 - width / 2, 40], [50 + width / 2, 40], [50, 60], [50 - width / 3, 80], [50 + width / 3, 80]]


def _embedded(faces: list[dict[str, Any]]) -> EmbeddedFaces:
    vectors = [vector_of(face["who"], face["number"]) for face in faces]
    factors = [[face.get("sharpness", 0.8), 0.9, 0.9, 0.8, face.get("score", 0.95)] for face in faces]
    return EmbeddedFaces(
        np.array(vectors, np.float32).reshape(-1, DIMENSIONS),
        np.array(factors, np.float64).reshape(-1, 5),
        np.array([face.get("brightness", 0.5) for face in faces], np.float64),
    )
