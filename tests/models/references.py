"""What other programs compute from the source files, to compare the converters' networks with.

`python -m tests.models.references FOLDER` records it anew into `recorded/`. FOLDER must hold
`fer_reference.onnx`, an export of the emotion network by somebody else. The mesh is recorded from OpenCV's
own TFLite reader, the face embedding from the published file as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.listening import Silent
from models.manifest import load_manifest
from models.sources import fetch
from tests.pictures import CACHE

RECORDED = Path(__file__).parent / "recorded"

Floats = NDArray[np.float32]


def pattern(*shape: int, low: float = 0.0, high: float = 1.0) -> Floats:
    """Return an input that is the same everywhere: waves of several lengths between two values."""
    steps = np.arange(int(np.prod(shape)), dtype=np.float64)
    waves = (np.sin(steps * 0.37) + np.sin(steps * 0.0113 + 1) + np.sin(steps * 0.00071 + 2)) / 6 + 0.5
    return (low + (high - low) * waves).astype(np.float32).reshape(shape)


MESH_INPUT = pattern(1, 192, 192, 3)
EMOTION_INPUT = pattern(1, 1, 64, 64, low=-1.0)
SFACE_INPUT = pattern(1, 3, 112, 112, high=255.0)


def session(file: str | bytes) -> ort.InferenceSession:
    """Open a network on one thread, without its warnings about odd exports."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def published_sface(data: bytes, picture: Floats) -> Floats:
    """Run the published embedding network; inputs that it lists without using them get zeros."""
    network = session(data)
    feed = {each.name: np.zeros(each.shape, np.float32) for each in network.get_inputs()}
    output: Floats = network.run(None, {**feed, "data": picture})[0]
    return output


def opencv_mesh(data: bytes, picture: Floats) -> Floats:
    """Run the mesh network by OpenCV's TFLite reader."""
    network = cv2.dnn.readNetFromTFLite(np.frombuffer(data, np.uint8))
    network.setInput(np.ascontiguousarray(picture.transpose(0, 3, 1, 2)))
    return np.asarray(network.forward(), np.float32).reshape(len(picture), -1)


def main(folder: Path) -> None:
    """Record all three."""

    def source(name: str) -> bytes:
        return fetch(load_manifest()[name].sources[0], CACHE / "test-media", Silent()).read_bytes()

    emotion = session(str(folder / "fer_reference.onnx")).run(None, {"input": EMOTION_INPUT})[0]
    np.savez_compressed(
        RECORDED / "converters.npz",
        facemesh=opencv_mesh(source("facemesh"), MESH_INPUT),
        emotion=emotion,
        sface=published_sface(source("sface"), SFACE_INPUT),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
