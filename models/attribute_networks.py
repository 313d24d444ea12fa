"""Loading a network that tells something of a face: weights in, a network that has answered once out.

file -> graph repaired -> session -> run on a declared example -> batch proven
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnx

from models import age_gender, emotion, facemesh, graph, insightface_faces
from models.crop_network import CropRunner, Family, batch_size, blob_shape, check_crops, fill
from models.detectors import example_canvas
from models.errors import BadWeights
from models.mask_glasses import GLASSES_CROP, MASK_CROP, WearingNetwork, load_wearing_network
from models.session import BoundSession, DeviceUnavailable, RuntimeOptions, device_of, open_session
from pipelines.ports import CropSpec, Reading

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from models.manifest import Network
    from pipelines.ports import CropNetwork

_FAMILIES: Final[Mapping[str, Family]] = {
    "facemesh": facemesh.FAMILY,
    "age": age_gender.AGE,
    "gender": age_gender.GENDER,
    "emotion": emotion.FAMILY,
    "landmarks106": insightface_faces.LANDMARKS,
    "genderage": insightface_faces.AGE_AND_GENDER,
}
_WEARING: Final = {"glasses": (Reading.GLASSES, GLASSES_CROP), "mask": (Reading.MASK, MASK_CROP)}
#: Different examples for the proof of a batch.
_PROBES = 3


def load_attribute_network(
    network: Network, path: Path, options: RuntimeOptions | None = None
) -> CropNetwork:
    """Load a network of the manifest that tells something of a face.

    Args:
        network: the manifest's entry; its family decides which adapter runs it.
        path: the weights file; its bytes are trusted to be verified.
        options: device and threads; the default is `auto` with one thread.

    Raises:
        BadWeights: the file is not such a network, or its example fails.
        DeviceUnavailable: the device that was asked for does not work.
    """
    if network.family not in {*_FAMILIES, *_WEARING}:
        known = ", ".join((*_FAMILIES, *_WEARING))
        message = f"{network.name}: no adapter reads faces by family {network.family!r}; there are {known}"
        raise BadWeights(message)
    try:
        return _open(network, path, options or RuntimeOptions())
    except (BadWeights, DeviceUnavailable):
        raise
    except Exception as failure:
        message = f"{network.name}: {path.name} is not such a network: {failure}"
        raise BadWeights(message) from failure


def reading_of(network: Network) -> Reading:
    """Return what a network of the manifest reads of a face."""
    known = _WEARING.get(network.family)
    return known[0] if known else _FAMILIES[network.family].reading


class Wearing:
    """The mask or the glasses network as a `CropNetwork`."""

    def __init__(self, spec: CropSpec, network: WearingNetwork) -> None:
        self.spec = spec
        self._network = network
        self.max_batch = batch_size(network.device, is_proven=_proves(network))

    def answer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how likely each face wears it, [N, 1]."""
        check_crops(crops, self._network.crop.size)
        starts = range(0, len(crops), self.max_batch)
        rows = [self._network.probabilities(crops[start : start + self.max_batch]) for start in starts]
        return np.concatenate(rows)[:, None] if rows else np.zeros((0, 1), np.float32)


def _proves(network: WearingNetwork) -> bool:
    """Tell whether a batch gives what its crops give one by one."""
    crops = _examples(network.crop.size)
    alone = np.concatenate([network.probabilities(crops[i : i + 1]) for i in range(len(crops))])
    return bool(np.abs(network.probabilities(crops) - alone).max() <= graph.BATCH_TOLERANCE)


def _open(network: Network, path: Path, options: RuntimeOptions) -> CropNetwork:
    if network.family in _WEARING:
        reading, crop = _WEARING[network.family]
        wearing = load_wearing_network(path, crop, options)
        return Wearing(CropSpec(network.name, reading, (crop,)), wearing)
    family, feed = _FAMILIES[network.family], network.input
    model = onnx.load(path)
    if network.pack == "insightface":
        feed = insightface_faces.feed_of(model, feed)
    # Converted networks have a free batch already, and the mesh keeps its channels last.
    repaired = model if network.converter else graph.relax(model)
    session = open_session(repaired.SerializeToString(), options)
    examples = _examples((feed.width, feed.height))
    blob = np.empty(blob_shape(feed, _PROBES), np.float32)
    fill(examples, feed, blob)
    max_batch = batch_size(device_of(session), is_proven=graph.prove_batching(session, blob))
    spec = CropSpec(network.name, family.reading, family.crops, family.again)
    runner = CropRunner(spec, BoundSession(session), feed, family.decode, max_batch)
    for _ in range(2):  # the first run learns the shapes, the second uses the bound buffers
        rows = runner.answer(examples[:1])
    if not np.isfinite(rows).all():
        message = f"{network.name}: the answer to the example is not made of numbers"
        raise BadWeights(message)
    return runner


def _examples(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw the declared examples, uint8 [3, height, width, 3]."""
    side = max(*size, 64)
    canvases = [example_canvas((side, side), seed) for seed in range(_PROBES)]
    return np.ascontiguousarray(np.stack(canvases)[:, : size[1], : size[0]])
