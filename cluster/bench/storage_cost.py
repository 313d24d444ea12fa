"""What keeping pictures and results costs: the same work with storage off and on, in turns.

    python -m cluster.bench.storage_cost --processes 2 --seconds 5 --rounds 3

Each process does what a replica does with a picture, decode and fit it, until that took about as long as a
detection, and then keeps it: every picture differs, so none is spared as a repetition. The ratio of pictures
a second counts; that of processor time says the same where other programs disturb.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from app.persistence import PersistenceOptions, Storage, open_persistence
from app.records.values import NewImage, NewJob

CLIENTS = 4
WORK_MS = 25.0
PICTURE_BYTES = 250_000


def main() -> None:
    """Measure in turns, print, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/storage_cost.json"))
    parser.add_argument("--worker", nargs=2, metavar=("HOME", "MODE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        home, mode = chosen.worker
        print(asyncio.run(_work(Path(home), chosen.seconds, keep=mode == "on")))
        return
    rates: dict[str, list[float]] = {"off": [], "on": []}
    costs: dict[str, list[float]] = {"off": [], "on": []}
    for _ in range(chosen.rounds):
        for mode, seen in rates.items():
            rate, cost_ms = _run(mode, chosen.processes, chosen.seconds)
            seen.append(rate)
            costs[mode].append(cost_ms)
    ratios = [on / off for off, on in zip(rates["off"], rates["on"], strict=True)]
    print(f"{'storage':<10}{'pictures/s':>12}   each round")
    for mode, seen in rates.items():
        print(f"{mode:<10}{statistics.median(seen):>12.1f}   {', '.join(f'{rate:.1f}' for rate in seen)}")
    print(
        f"ratio {statistics.median(ratios):.3f} (each round: {', '.join(f'{ratio:.3f}' for ratio in ratios)})"
    )
    cpu_ms = {mode: statistics.median(seen) for mode, seen in costs.items()}
    print(
        f"processor ms per picture: off {cpu_ms['off']:.2f}, on {cpu_ms['on']:.2f}, "
        f"ratio {cpu_ms['off'] / cpu_ms['on']:.3f}"
    )
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(
        json.dumps({"rates": rates, "ratio": statistics.median(ratios), "cpu_ms": cpu_ms}, indent=2), "utf-8"
    )


def _run(mode: str, processes: int, seconds: float) -> tuple[float, float]:
    """Let the processes work on one new home; return pictures a second, and processor time for each."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "cluster.bench.storage_cost", "--seconds", str(seconds)]
        command += ["--worker", home, mode]
        running = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this very file
            for _ in range(processes)
        ]
        ends = [process.communicate()[0].split()[-2:] for process in running]
    return sum(float(rate) for rate, _ in ends), statistics.mean(float(cost) for _, cost in ends)


async def _work(home: Path, seconds: float, *, keep: bool) -> str:
    cv2.setNumThreads(1)
    picture = _picture()
    lane = ThreadPoolExecutor(1)
    async with open_persistence(PersistenceOptions(home=home, storage_enabled=keep)) as opened:
        begun = time.process_time()
        end = time.perf_counter() + seconds
        done = await asyncio.gather(*(_client(lane, picture, opened.storage, end) for _ in range(CLIENTS)))
    cost_ms = (time.process_time() - begun) * 1000 / max(1, sum(done))
    return f"{sum(done) / seconds} {cost_ms}"


async def _client(lane: ThreadPoolExecutor, picture: bytes, storage: Storage | None, end: float) -> int:
    done = 0
    while time.perf_counter() < end:
        await asyncio.get_running_loop().run_in_executor(lane, _detect, picture)
        if storage is not None:
            await storage.writer.save(NewImage(picture + os.urandom(16), "jpeg", 1280, 886), _job())
        done += 1
    return done


def _detect(picture: bytes) -> None:
    """Spend as much processor time as a detection."""
    end = time.thread_time() + WORK_MS / 1000
    while time.thread_time() < end:
        pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
        if pixels is not None:
            cv2.resize(pixels, (640, 448))


def _job() -> NewJob:
    face = {"bbox": {"x1": 1.5, "y1": 2.5, "x2": 3.5, "y2": 4.5}, "confidence": 0.9, "area": 4.0}
    return NewJob(
        job_type="detect",
        options={"confidence": 0.5, "nms_threshold": 0.4, "max_faces": 0},
        model="yunet",
        face_count=6,
        payload={"detections": [face] * 6, "summary": {"face_count": 6}},
        inference_ms=20.0,
        total_ms=25.0,
        request_id="0" * 32,
    )


def _picture() -> bytes:
    """Draw a picture of the size that a photo of 1280x886 has as a JPEG."""
    noise = np.random.default_rng(0).integers(0, 255, (222, 320, 3), np.uint8)
    pixels = cv2.resize(noise, (1280, 886), interpolation=cv2.INTER_CUBIC)
    for quality in range(95, 20, -5):
        _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(encoded) <= PICTURE_BYTES:
            break
    return encoded.tobytes()


if __name__ == "__main__":
    main()
