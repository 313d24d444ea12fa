"""An image engine without networks: what it answers is decided by the test."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from pipelines.faces import Faces
from pipelines.ports import DetectorSpec
from pipelines.results import Detection, ImageInfo, MaskedImage, Profile

if TYPE_CHECKING:
    from pipelines.results import DetectOptions, EncodeOptions, MaskOptions

SPEC = DetectorSpec("fake_detector", (640, 640), has_points=True)
SPARE = DetectorSpec("fake_spare", (320, 320), has_points=False)


def some_faces(count: int, *, with_points: bool = True) -> Faces:
    """Return that many faces in a row, best first."""
    corners = [(10.04 + 90 * i, 20.26, 80.51 + 90 * i, 110.77) for i in range(count)]
    points = [[(30.0 + 90 * i + x, 50.0 + x) for x in range(5)] for i in range(count)]
    return Faces(
        np.array(corners, np.float32).reshape(count, 4),
        np.linspace(0.98765, 0.6, count, dtype=np.float32),
        np.array(points, np.float32).reshape(count, 5, 2) if with_points else None,
    )


@dataclass
class FakeEngine:
    """Answers every picture with the same faces, or fails with the error it was given."""

    faces: Faces = field(default_factory=lambda: some_faces(2))
    error: Exception | None = None
    is_ready: bool = True
    remembers: bool = True
    detectors: tuple[DetectorSpec, ...] = (SPEC, SPARE)
    seen: list[bytes] = field(default_factory=list)
    asked: list[tuple[object, ...]] = field(default_factory=list)

    async def detect(self, data: bytes, options: DetectOptions) -> Detection:
        """Remember what was asked, then answer or fail."""
        self._remember(data, options)
        if self.error is not None:
            raise self.error
        return self._detection(len(data), options)

    async def mask(
        self, data: bytes, options: DetectOptions, mask: MaskOptions, encode: EncodeOptions
    ) -> MaskedImage:
        """Remember what was asked, then answer the bytes reversed, or fail."""
        self._remember(data, options, mask, encode)
        if self.error is not None:
            raise self.error
        found = self._detection(len(data), options)
        found = replace(found, profile=replace(found.profile, mask_ms=2.0, encode_ms=3.0))
        return MaskedImage(found, data[::-1], encode.format, len(found.faces))

    async def ready(self) -> bool:
        """Say what the test decided."""
        return self.is_ready

    def _remember(self, data: bytes, *options: object) -> None:
        if self.remembers:
            self.seen.append(data)
            self.asked.append(options)

    def _detection(self, size: int, options: DetectOptions) -> Detection:
        profile = Profile(
            decode_ms=3.214,
            preprocess_ms=1.05,
            blob_ms=0.82,
            inference_ms=12.344,
            postprocess_ms=0.45,
            nms_ms=0.12,
            total_ms=18.0,
            candidates_before_nms=15,
            candidates_after_nms=len(self.faces),
            det_scale=1 / 3,
            det_size=(640, 384),
        )
        image = ImageInfo(1920, 1080, 3, size, "jpeg")
        return Detection(image, self.faces, options.model or SPEC.name, SPEC.input_size, options, profile)
