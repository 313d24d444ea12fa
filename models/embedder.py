"""Embedding networks: an aligned face in, numbers out that lie close together for one person.

    aligned crops (112 x 112, five points on the ArcFace template) -> blob -> network -> length one

SFace and the ArcFace family are fed alike but for scaling, which the manifest tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models import graph
from models.canvas_detector import InputScaling, fill_blob
from models.errors import BadWeights
from models.session import BoundSession, RuntimeOptions, open_session
from pipelines.embed_faces import FACE_CROP
from pipelines.ports import CropSpec, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from models.manifest import Network

#: Faces that run together where a batch is proven.
MAX_BATCH = 16
_SIDE = 112
_PROBES = 3
_DIMENSIONS = 2


class Embedder:
    """One embedding network, which is a network of crops as well; safe to call from several threads."""

    def __init__(
        self, name: str, session: BoundSession, scaling: InputScaling, dimensions: int, max_batch: int
    ) -> None:
        self.name = name
        self.spec = CropSpec(name, Reading.EMBEDDING, (FACE_CROP,))
        self.dimensions = dimensions
        self.max_batch = max_batch
        self._session = session
        self._scaling = scaling

    def answer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return a row for each crop: uint8 BGR [N, 112, 112, 3]."""
        return self.embed(crops)

    def embed(self, crops: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32 [N, dimensions], each row of length one.

        Args:
            crops: uint8 BGR [112, 112, 3] each, as `pipelines.align.align` draws them.
        """
        vectors = np.empty((len(crops), self.dimensions), np.float32)
        for start in range(0, len(crops), self.max_batch):
            batch = crops[start : start + self.max_batch]
            shape = (len(batch), 3, _SIDE, _SIDE)
            blob = self._session.input_for(shape)
            planes = np.empty((3, _SIDE, _SIDE), np.uint8)
            for crop, row in zip(batch, blob, strict=True):
                fill_blob(crop, planes, row, self._scaling)
            vectors[start : start + len(batch)] = self._session.run(shape)[0]
        # A crop without any content may give zeros, which have no direction.
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        np.divide(vectors, lengths, out=vectors)
        return vectors


def load_embedder(network: Network, path: Path, options: RuntimeOptions | None = None) -> Embedder:
    """Load an embedding network of the manifest and run it once.

    Args:
        network: the manifest's entry; its input says how pixels are scaled.
        path: the weights file; its bytes are trusted to be verified.
        options: device and threads; the default is `auto` with one thread.

    Raises:
        BadWeights: the file is not such a network.
        DeviceUnavailable: the device that was asked for does not work.
    """
    spec = network.input
    scaling = InputScaling(rgb=spec.colour == "rgb", mean=spec.mean[0], scale=spec.scale[0])
    session = open_session(graph.relax_file(path), options or RuntimeOptions())
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (_PROBES, 3, _SIDE, _SIDE)).astype(np.float32)
    pictures = (pictures - np.float32(scaling.mean)) * np.float32(scaling.scale)
    try:
        (output,) = session.run(None, {session.get_inputs()[0].name: pictures[:1]})
    except Exception as failure:
        message = f"{path.name} is not an embedding network: {failure}"
        raise BadWeights(message) from failure
    if output.ndim != _DIMENSIONS or len(output) != 1 or not np.isfinite(output).all():
        message = f"{path.name} is not an embedding network: its answer has the shape {output.shape}"
        raise BadWeights(message)
    max_batch = MAX_BATCH if graph.prove_batching(session, pictures) else 1
    return Embedder(network.name, BoundSession(session), scaling, output.shape[1], max_batch)
