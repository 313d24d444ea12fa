"""Converted networks beside other programs that run the same weights; see `cluster.bench.attributes`.

The emotion network is compared with somebody else's export of it. Of the mesh there is an export too, but of
another training: not one of its weights is in ours. So the mesh is compared with OpenCV, which reads the file
that ours is made of, and the distance to the other training is shown for what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from cluster.bench.pictures import portrait
from models.crop_network import blob_shape, fill
from models.listening import Silent
from models.manifest import load_manifest
from models.session import RuntimeOptions, open_session
from models.sources import fetch
from pipelines.crops import draw_crops, placements, points_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pipelines.faces import Faces
    from pipelines.ports import CropNetwork

    Floats = NDArray[np.float32]


def references(
    networks: dict[str, CropNetwork], faces: Faces, downloads: Path, testdata: Path
) -> dict[str, str]:
    """Return how far answers for the portrait's face are from others', as parts of their range.

    Args:
        networks: by name, `facemesh` and `emotion` among them.
        faces: of the portrait.
        downloads: where the source of the mesh is kept.
        testdata: the folder with other people's exports in `weights`.
    """
    mesh, mesh_blob = _answer(networks["facemesh"], faces)
    emotion, emotion_blob = _answer(networks["emotion"], faces)
    source = fetch(load_manifest()["facemesh"].sources[0], downloads, Silent())
    theirs = _export(testdata / "weights" / "fer_reference.onnx", emotion_blob)
    other = _export(testdata / "weights" / "facemesh_reference.onnx", mesh_blob)
    # The export has the network's order of emotions, ours is that of the API; every number is there once.
    return {
        "emotion, an independent export (at most 1e-4)": _apart(np.sort(emotion), np.sort(theirs)),
        "mesh, OpenCV reading its source (at most 1e-4)": _apart(mesh[:, :-1], _opencv(source, mesh_blob)),
        "mesh, a network of other weights, for comparison": _apart(mesh[:, :-1], other),
    }


def _answer(network: CropNetwork, faces: Faces) -> tuple[Floats, Floats]:
    """Return what a network of ours answers to its first crop of the portrait, and the input it had."""
    pixels = np.asarray(cv2.imdecode(np.frombuffer(portrait(), np.uint8), 1), np.uint8)
    recipe, feed = network.spec.crops[0], load_manifest()[network.spec.name].input
    points = points_of(faces.boxes) if faces.points is None else faces.points
    crops = draw_crops(pixels, placements(recipe, faces.boxes, points), recipe.size)
    blob = np.empty(blob_shape(feed, len(crops)), np.float32)
    fill(crops, feed, blob)
    return network.answer(crops), blob


def _export(file: Path, blob: Floats) -> Floats:
    """Run somebody else's export and return its largest output as rows."""
    session = open_session(file, RuntimeOptions(device="cpu"))
    outputs = session.run(None, {session.get_inputs()[0].name: blob})
    return np.asarray(max(outputs, key=np.size), np.float32).reshape(len(blob), -1)


def _opencv(source: Path, blob: Floats) -> Floats:
    """Run a TFLite file by OpenCV's reader."""
    network = cv2.dnn.readNetFromTFLite(np.frombuffer(source.read_bytes(), np.uint8))
    network.setInput(np.ascontiguousarray(np.moveaxis(blob, 3, 1)))
    return np.asarray(network.forward(), np.float32).reshape(len(blob), -1)


def _apart(ours: Floats, theirs: Floats) -> str:
    return f"{np.abs(ours - theirs).max() / np.ptp(theirs):.1e}"
