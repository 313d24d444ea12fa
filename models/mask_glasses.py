"""Does this face wear a mask, does it wear glasses: this project's own two small networks.

Both take uint8 RGB crops [N, height, width, 3] and answer one probability each; scaling is inside the
graph. How they were made stands in `models/training`, how good they are in `docs/model-cards`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from pipelines.align import ARCFACE_112, FaceCrop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

#: The whole face, as embedding networks see it: one crop serves both.
MASK_CROP: Final = FaceCrop(ARCFACE_112, (112, 112))

#: A strip around the eyes at one and a half times that scale, the middle of the eyes at (64, 30).
GLASSES_CROP: Final = FaceCrop(
    ((ARCFACE_112 - ARCFACE_112[:2].mean(axis=0)) * 1.5 + (64, 30)).astype(np.float32), (128, 64)
)


class Session(Protocol):
    """The part of an ONNX Runtime session that is used here."""

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, NDArray[np.uint8]]
    ) -> Sequence[NDArray[np.float32]]:
        """Return the outputs for these inputs."""


class WearingNetwork:
    """One of the two networks, on the session it is given."""

    def __init__(self, session: Session, crop: FaceCrop) -> None:
        self._session = session
        self.crop = crop

    def probabilities(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how likely each face wears it, 0..1.

        Args:
            crops: uint8 RGB [N, height, width, 3] as `pipelines.align.align` draws them for `crop`.

        Returns:
            float32 [N]; for no crops nothing is run.
        """
        width, height = self.crop.size
        if crops.shape[1:] != (height, width, 3) or crops.dtype != np.uint8:
            message = f"crops: uint8 [N, {height}, {width}, 3] expected, not {crops.dtype} {crops.shape}"
            raise ValueError(message)
        if len(crops) == 0:
            return np.zeros(0, np.float32)
        return self._session.run(["probabilities"], {"crops": crops})[0]
