"""`python -m cluster.bench.video_decode`: frames a second of one thread, against decoding every frame.

The loop is what a plain script does: PyAV decodes each frame, converts the sampled ones and scales them for a
detector. Rounds of all ways alternate, so that a busy machine slows all of them; processor time is counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from pipelines.video.decode import sampled_frames
from pipelines.video.plan import plan_chunks
from pipelines.video.probe import probe_video
from pipelines.video.sampling import Sampling

if TYPE_CHECKING:
    from collections.abc import Callable

    from av.video.stream import VideoStream

SIZE, INPUT, RATE = (1920, 1080), (640, 360), 30
#: Frames between key frames: what encoders do by themselves, streaming services, and cameras.
GROUPS = (250, 60, 15)


@dataclass(frozen=True, slots=True)
class Figures:
    """What each way reaches on one video, in frames of the video for each second of processor time."""

    frames_per_group: int
    samples_per_s: int
    plain: float
    chunks_all_frames: float
    chunks: float
    ratio_all_frames: float
    ratio: float
    probe_ms: float


def render(path: Path, frames: int, group: int, bit_rate: int = 6_000_000) -> None:
    """Write a moving picture with the grain of a camera: 1080p H.264 with B-frames."""
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 255, (1400, 2400, 3), np.uint8), (0, 0), 6)
    scene = cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload] # None allocates
    grain = [rng.normal(0, 3, (SIZE[1], SIZE[0], 1)).astype(np.int16) for _ in range(8)]
    with av.open(str(path), "w") as container:
        stream = cast(
            "VideoStream", container.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        )
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.bit_rate, stream.gop_size = bit_rate, group
        for index in range(frames):
            x, y = int(200 + 180 * np.sin(index / 20)), int(100 + 90 * np.cos(index / 33))
            seen = scene[y : y + SIZE[1], x : x + SIZE[0]].astype(np.int16) + grain[index % 8]
            picture = np.ascontiguousarray(seen.clip(0, 255), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def plain_loop(path: Path, samples_per_s: int) -> int:
    """Decode every frame as a script would; return how many samples it took."""
    taken = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            if (frame.time or 0.0) * samples_per_s >= taken - 1e-6:
                cv2.resize(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8), INPUT)
                taken += 1
    return taken


def chunked(path: Path, samples_per_s: int, *, skip: bool) -> int:
    """Decode what the platform decodes; return how many samples came."""
    probe = probe_video(path)
    chunks = plan_chunks(probe, Sampling(samples_per_s))
    return sum(
        1 for chunk in chunks for _ in sampled_frames(path, probe.info, chunk, INPUT, skip_unneeded=skip)
    )


def cpu_s(work: Callable[[], int], samples: int) -> float:
    """Return the processor time that the work takes; it must give that many samples."""
    begun = time.process_time()
    given = work()
    took = time.process_time() - begun
    if given != samples:
        message = f"{samples} samples expected, {given} came"
        raise RuntimeError(message)
    return took


def measure(path: Path, group: int, frames: int, samples_per_s: int, rounds: int) -> Figures:
    """Return the medians over rounds; ratios are taken within each."""
    samples = plain_loop(path, samples_per_s)
    times = [
        (
            cpu_s(lambda: plain_loop(path, samples_per_s), samples),
            cpu_s(lambda: chunked(path, samples_per_s, skip=False), samples),
            cpu_s(lambda: chunked(path, samples_per_s, skip=True), samples),
        )
        for _ in range(rounds)
    ]
    plain, every, fewer = (frames / statistics.median(column) for column in zip(*times, strict=True))
    begun = time.perf_counter()
    probe_video(path)
    return Figures(
        group,
        samples_per_s,
        plain,
        every,
        fewer,
        statistics.median(round_[0] / round_[1] for round_ in times),
        statistics.median(round_[0] / round_[2] for round_ in times),
        (time.perf_counter() - begun) * 1e3,
    )


def main() -> None:
    """Render, measure, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 2, 5, 30])
    parser.add_argument("--out", type=Path, default=Path("bench/video_decode.json"))
    options = parser.parse_args()
    found: list[Figures] = []
    with tempfile.TemporaryDirectory() as folder:
        for group in GROUPS:
            path = Path(folder) / f"{group}.mp4"
            render(path, options.frames, group)
            found += [measure(path, group, options.frames, rate, options.rounds) for rate in options.samples]
    table = Table(title="1080p H.264 at 30 frames a second: frames per second of one thread")
    for column in (
        "key frame every",
        "samples/s",
        "plain loop",
        "every frame",
        "needed ones",
        "ratio",
        "ratio",
    ):
        table.add_column(column, justify="right")
    for one in found:
        rates = (f"{rate:.0f}" for rate in (one.plain, one.chunks_all_frames, one.chunks))
        ratios = (f"{ratio:.2f}" for ratio in (one.ratio_all_frames, one.ratio))
        table.add_row(str(one.frames_per_group), str(one.samples_per_s), *rates, *ratios)
    Console().print(table)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps([asdict(one) for one in found], indent=2))


if __name__ == "__main__":
    main()
