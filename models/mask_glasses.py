"""Does this face wear a mask, does it wear glasses: this project's own two small networks.

    picture + five points -> align(picture, points, crop.template, crop.size) -> probabilities

Both take crops as the pipeline holds pictures, uint8 BGR [N, height, width, 3], and answer one
probability each; scaling is inside the graph. How they were made stands in `models/training`, how good
they are in `docs/model-cards`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from models.errors import BadWeights
from models.session import RuntimeOptions, device_of, open_session
from pipelines.align import ARCFACE_112, FaceCrop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from models.session import Device

#: The whole face, as embedding networks see it: one crop serves both.
MASK_CROP: Final = FaceCrop(ARCFACE_112, (112, 112))

#: A strip around the eyes at one and a half times that scale, the middle of the eyes at (64, 30).
GLASSES_CROP: Final = FaceCrop(
    ((ARCFACE_112 - ARCFACE_112[:2].mean(axis=0)) * 1.5 + (64, 30)).astype(np.float32), (128, 64)
)

#: The networks' only input and output.
_INPUT, _OUTPUT = "crops", "probabilities"


class Session(Protocol):
    """The part of an ONNX Runtime session that is used here."""

    def run(self, output_names: Sequence[str], input_feed: Mapping[str, NDArray[np.uint8]]) -> Sequence[Any]:
        """Return the outputs for these inputs."""


class WearingNetwork:
    """One of the two networks, on the session it is given.

    Args:
        session: runs it.
        crop: what it was trained on.
        device: where the session runs.
    """

    def __init__(self, session: Session, crop: FaceCrop, device: Device = "cpu") -> None:
        self._session = session
        self.crop = crop
        self.device: Device = device

    def probabilities(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how likely each face wears it, 0..1.

        Args:
            crops: uint8 BGR [N, height, width, 3] as `pipelines.align.align` draws them for `crop`.

        Returns:
            float32 [N]; for no crops nothing is run.
        """
        width, height = self.crop.size
        if crops.shape[1:] != (height, width, 3) or crops.dtype != np.uint8:
            message = f"crops: uint8 [N, {height}, {width}, 3] expected, not {crops.dtype} {crops.shape}"
            raise ValueError(message)
        if len(crops) == 0:
            return np.zeros(0, np.float32)
        (probabilities,) = self._session.run([_OUTPUT], {_INPUT: crops})
        return np.asarray(probabilities, np.float32)


def load_wearing_network(path: Path, crop: FaceCrop, options: RuntimeOptions | None = None) -> WearingNetwork:
    """Open one of the two networks and run it once on an empty crop.

    Args:
        path: the weights file.
        crop: `MASK_CROP` or `GLASSES_CROP`, whichever it was trained on.
        options: device and threads; the default is `auto` with one thread.

    Raises:
        BadWeights: the file is not such a network.
        DeviceUnavailable: the device that was asked for does not work.
    """
    session = open_session(path, options or RuntimeOptions())
    width, height = crop.size
    expected = [(_INPUT, [height, width, 3]), (_OUTPUT, [])]
    found = [(port.name, list(port.shape[1:])) for port in (*session.get_inputs(), *session.get_outputs())]
    if found != expected:
        message = f"{path.name} is not such a network: {expected} expected, not {found}"
        raise BadWeights(message)
    network = WearingNetwork(session, crop, device_of(session))
    network.probabilities(np.zeros((1, height, width, 3), np.uint8))
    return network
