"""What the cores could do at best: a plain script's loop of decode, letterbox and ONNX Runtime.

Run as a program it is one such loop:
`python -m cluster.bench.raw NETWORK.onnx PICTURE SIDE SECONDS MEAN SCALE`
where SIDE is `rectangle` or `square`. It prints pictures a second, and processor milliseconds and page
faults per picture.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnxruntime

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUT = 640
STRIDE = 32


def letterbox(pixels: NDArray[np.uint8], *, square: bool) -> NDArray[np.uint8]:
    """Return the picture fitted into the network's input, as its rectangle or as the whole square."""
    scale = INPUT / max(pixels.shape[:2])
    height, width = int(pixels.shape[0] * scale), int(pixels.shape[1] * scale)
    rows = INPUT if square else -(-height // STRIDE) * STRIDE
    columns = INPUT if square else -(-width // STRIDE) * STRIDE
    canvas = np.zeros((rows, columns, 3), np.uint8)
    canvas[:height, :width] = cv2.resize(pixels, (width, height))
    return canvas


@dataclass(frozen=True, slots=True)
class Raw:
    """What loops side by side reached: pictures a second of all, processor time and page faults of each."""

    per_second: float
    cpu_ms: float
    faults: float


def loop(network: str, picture: bytes, *, square: bool, seconds: float, mean: float, scale: float) -> Raw:
    """Return how many pictures a second one thread can decode, letterbox and run."""
    cv2.setNumThreads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    data = np.frombuffer(picture, np.uint8)

    def one() -> None:
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
        canvas = letterbox(np.asarray(pixels, np.uint8), square=square)
        blob = cv2.dnn.blobFromImage(canvas, scale, canvas.shape[1::-1], (mean,) * 3, swapRB=scale != 1)
        session.run(None, {name: blob})

    for _ in range(5):
        one()
    count, begun, before = 0, time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    while time.perf_counter() - begun < seconds:
        one()
        count += 1
    took, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Raw(count / took, cpu * 1e3 / count, (after.ru_minflt - before.ru_minflt) / count)


def run_raw(  # noqa: PLR0913 - each is one figure of the measurement
    network: Path,
    picture: Path,
    *,
    square: bool = False,
    seconds: float = 8.0,
    mean: float = 0.0,
    scale: float = 1.0,
    processes: int = 2,
    tuned: bool = False,
) -> Raw:
    """Return what this many such loops reach, each in a process of its own.

    Args:
        network: an ONNX file that takes any height and width.
        picture: a JPEG.
        square: letterbox to the whole square instead of the rectangle.
        seconds: how long to measure.
        mean: subtracted from every value.
        scale: what the difference is multiplied by.
        processes: how many run side by side.
        tuned: keep large buffers instead of mapping them anew, as the service does.
    """
    side = "square" if square else "rectangle"
    command = [sys.executable, "-m", "cluster.bench.raw", str(network), str(picture), side]
    command += [str(seconds), str(mean), str(scale)]
    variables = {"MALLOC_MMAP_THRESHOLD_": "268435456", "MALLOC_TRIM_THRESHOLD_": "1073741824"}
    running = [
        subprocess.Popen(  # noqa: S603 - our own module
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **(variables if tuned else {})},
        )
        for _ in range(processes)
    ]
    found = [Raw(*json.loads(process.communicate()[0])) for process in running]
    count = len(found)
    return Raw(
        sum(each.per_second for each in found),
        sum(each.cpu_ms for each in found) / count,
        sum(each.faults for each in found) / count,
    )


if __name__ == "__main__":
    _, file, image, shape, duration, subtracted, factor = sys.argv
    reached = loop(
        file,
        Path(image).read_bytes(),
        square=shape == "square",
        seconds=float(duration),
        mean=float(subtracted),
        scale=float(factor),
    )
    print(json.dumps([reached.per_second, reached.cpu_ms, reached.faults]))
