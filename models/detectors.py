"""Loading a detector: weights file in, a network that has already answered once out.

file -> graph repaired -> session -> layout recognised -> batch proven -> warmed up on the example
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from models import centerface, graph, scrfd, yunet
from models.canvas_detector import CanvasDetector, Decoder, InputScaling, fill_blob
from models.errors import BadWeights
from models.session import BoundSession, RuntimeOptions, open_session
from pipelines.ports import DetectorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from models.manifest import Manifest, Network
    from pipelines.ports import DetectorNetwork

    Recognise = Callable[[Sequence[NDArray[np.float32]], tuple[int, int]], Decoder]

#: Canvases that run together where a batch is proven; larger ones gain nothing on a GPU either.
MAX_BATCH = 32

#: A canvas whose sides differ, so that height and width cannot be mixed up unseen.
_PROBE_SIZE = (128, 192)
_STRIDE = 32

_FAMILIES: dict[str, tuple[InputScaling, Recognise]] = {
    "scrfd": (scrfd.SCALING, scrfd.ScrfdDecoder.recognise),
    "yunet": (yunet.SCALING, yunet.YunetDecoder.recognise),
    "centerface": (centerface.SCALING, centerface.CenterfaceDecoder.recognise),
}


def find_detector(manifest: Manifest, name: str) -> tuple[Network, str | None]:
    """Return the network and the variant that a name means: `scrfd_2.5g`, or `scrfd_2.5g_int8`.

    Raises:
        UnknownNetwork: the manifest has neither.
    """
    for network in manifest.networks.values():
        for variant in network.variants:
            if name == f"{network.name}_{variant.name}":
                return network, variant.name
    return manifest[name], None


def load_detector(
    network: Network, path: Path, options: RuntimeOptions | None = None, variant: str | None = None
) -> DetectorNetwork:
    """Load a detector of the manifest from its weights and run it once on a declared example.

    Args:
        network: the manifest's entry; its family decides which adapter runs it.
        path: the weights file; its bytes are trusted to be verified.
        options: device and threads; the default is `auto` with one thread.
        variant: which variant the file is; it becomes part of the name, as in `scrfd_2.5g_int8`.

    Raises:
        BadWeights: the file is not such a detector, or its example fails.
        DeviceUnavailable: the device that was asked for does not work.
    """
    return build_detector(
        network.name if variant is None else f"{network.name}_{variant}",
        network.family,
        _relaxed(path),
        (network.input.width, network.input.height),
        options or RuntimeOptions(),
    )


def build_detector(
    name: str, family: str, model: bytes, input_size: tuple[int, int], options: RuntimeOptions
) -> DetectorNetwork:
    """Make a detector of a family from a graph that `models.graph.relax` freed; see `load_detector`."""
    if family not in _FAMILIES:
        message = f"{name}: no adapter runs detectors of family {family!r}; there are {', '.join(_FAMILIES)}"
        raise BadWeights(message)
    scaling, recognise = _FAMILIES[family]
    session = open_session(model, options)
    pictures = np.stack([_blob(example_canvas(_PROBE_SIZE, seed), scaling) for seed in range(3)])
    try:
        outputs = session.run(None, {session.get_inputs()[0].name: pictures[:1]})
    except Exception as failure:
        message = (
            f"{name}: the network cannot be fed a canvas of {_PROBE_SIZE[1]}x{_PROBE_SIZE[0]}: {failure}"
        )
        raise BadWeights(message) from failure
    decoder = recognise(outputs, _PROBE_SIZE)
    max_batch = MAX_BATCH if graph.prove_batching(session, pictures) else 1
    spec = DetectorSpec(name, input_size, decoder.has_points, _STRIDE)
    detector = CanvasDetector(spec, BoundSession(session), scaling, decoder, max_batch)
    _warm_up(detector)
    return detector


def scaling_of(family: str) -> InputScaling:
    """Return how a family of detectors is fed."""
    return _FAMILIES[family][0]


def example_canvas(size: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    """Draw the declared example: faces of ellipses on a noisy ground, uint8 BGR of height, width."""
    height, width = size
    random = np.random.default_rng(seed)
    canvas = random.integers(90, 130, (height, width, 3), np.uint8)
    for _ in range(3):
        radius = int(random.integers(16, max(17, min(size) // 4)))
        x, y = int(random.integers(0, width)), int(random.integers(0, height))
        cv2.ellipse(canvas, (x, y), (radius * 3 // 4, radius), 0, 0, 360, (140, 170, 220), -1)
        for side in (-1, 1):
            cv2.circle(
                canvas, (x + side * radius // 3, y - radius // 4), max(1, radius // 8), (40, 40, 40), -1
            )
        cv2.ellipse(canvas, (x, y + radius // 2), (radius // 3, radius // 8), 0, 0, 360, (70, 70, 180), -1)
    return canvas


def _warm_up(detector: CanvasDetector) -> None:
    """Run the example at full size, and refuse a network whose answers are not faces."""
    width, height = detector.spec.input_size
    canvas = example_canvas((height, width))
    for _ in range(2):  # the first run learns the shapes, the second uses the bound buffers
        (proposals,) = detector.propose([canvas], [0.01])
    faces = proposals.faces
    arrays = [faces.boxes, faces.scores] + ([] if faces.points is None else [faces.points])
    sane = all(np.isfinite(array).all() for array in arrays)
    if not sane or (len(faces) and not 0 <= float(faces.scores.min()) <= float(faces.scores.max()) <= 1):
        message = f"{detector.spec.name}: the network's answer to the example is not made of faces"
        raise BadWeights(message)


def _blob(canvas: NDArray[np.uint8], scaling: InputScaling) -> NDArray[np.float32]:
    height, width = canvas.shape[:2]
    blob = np.empty((3, height, width), np.float32)
    fill_blob(canvas, np.empty((3, height, width), np.uint8), blob, scaling)
    return blob


def _relaxed(path: Path) -> bytes:
    try:
        return graph.relax_file(path)
    except Exception as failure:
        message = f"{path.name} cannot be read as an ONNX network: {failure}"
        raise BadWeights(message) from failure
