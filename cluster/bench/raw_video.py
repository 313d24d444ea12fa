"""What a plain script makes of a video: every frame decoded, sampled ones through the network as published.

Run as a program it is one half of a perfect split: `python -m cluster.bench.raw_video NETWORK VIDEO RATE PART
PARTS`. It says `ready` when everything is open, begins at the first line it is sent, and prints its samples.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import onnxruntime

from cluster.bench.raw import letterbox


def run_part(network: Path, video: Path, rate: float, part: int, parts: int) -> int:
    """Decode one part of the video and look at its samples; return how many there were."""
    cv2.setNumThreads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    samples = 0
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        length = float((stream.duration or 0) * (stream.time_base or 0))
        first, last = length * part / parts, length * (part + 1) / parts
        print("ready", flush=True)
        sys.stdin.readline()
        container.seek(int(first / float(stream.time_base or 1)), stream=stream)
        due = first
        for frame in container.decode(stream):
            at = float(frame.time or 0.0)
            if at >= last:
                break
            if at + 1e-6 < due:
                continue
            due += 1 / rate
            pixels = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
            canvas = letterbox(pixels, square=True)
            session.run(None, {name: cv2.dnn.blobFromImage(canvas, 1.0, canvas.shape[1::-1])})
            samples += 1
    return samples


def run_split(network: Path, video: Path, rate: float, parts: int) -> float:
    """Return the seconds that so many processes side by side need, without their start."""
    processes = [
        subprocess.Popen(  # noqa: S603 - our own module
            [
                *(sys.executable, "-m", "cluster.bench.raw_video"),
                *(str(network), str(video), str(rate), str(part), str(parts)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in range(parts)
    ]
    for process in processes:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            message = "the plain loop does not start"
            raise RuntimeError(message)
    begun = time.perf_counter()
    for process in processes:
        if process.stdin is not None:
            process.stdin.write("go\n")
            process.stdin.flush()
    for process in processes:
        process.communicate()
        if process.returncode:
            message = "the plain loop failed"
            raise RuntimeError(message)
    return time.perf_counter() - begun


if __name__ == "__main__":
    _, network_, video_, rate_, part_, parts_ = sys.argv
    print(run_part(Path(network_), Path(video_), float(rate_), int(part_), int(parts_)))
