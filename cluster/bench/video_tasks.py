"""`python -m cluster.bench.video_tasks`: whole video tasks over HTTP, against a script with a perfect split.

The script decodes every frame in as many processes as there are cores, each its own half of the video, and
runs the same network as its authors published it, on a square; its start is not counted. The task is fetched
over HTTP, probed, cut, analysed, put together and stored; its worker processes are there already, as on a
service in use. Rounds alternate. A second figure has one worker against two on a longer video.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from cluster.bench.raw_video import run_split
from cluster.bench.task_load import UNBOUNDED, tasks_of
from cluster.bench.video_decode import RATE, render
from cluster.bench.videos import repeated, served
from cluster.trial import trial_service
from models.store import default_home

if TYPE_CHECKING:
    from collections.abc import Sequence

CLIP_S, GROUP = 20, 250
#: As the documents advise, or nearly: asking costs the same cores.
ASK_EVERY_S = 0.5
THROUGHPUT_BAR, SCALING_BAR = 1.0, 1.8


@dataclass(frozen=True, slots=True)
class Figures:
    """What was reached.

    Attributes:
        task_fps: frames of the video a second, of the whole task.
        script_fps: of the script.
        ratio: of both, the median of the rounds.
        scaling: seconds with one worker by seconds with two; None where that was not measured.
        script_scaling: the same of the script: what these cores give together.
    """

    task_fps: float
    script_fps: float
    ratio: float
    scaling: float | None
    script_scaling: float | None


def task_s(service_args: dict[str, object], weights: Path, url: str, rate: int, rounds: int) -> list[float]:
    """Return how long tasks on a video take, one after the other, after a short first one."""
    found = []
    with trial_service(service_args, UNBOUNDED, weights) as service, tasks_of(service) as tasks:
        fields = {"type": "video", "media_url": url, "sample_rate": rate}
        tasks.finish(tasks.create(**fields, end_time=CLIP_S))
        for _ in range(rounds):
            begun = time.perf_counter()
            tasks.finish(tasks.create(**fields), ASK_EVERY_S)
            found.append(time.perf_counter() - begun)
    return found


def against_script(video: Path, url: str, weights: Path, rate: int, rounds: int) -> list[tuple[float, float]]:
    """Return seconds of the task and of the script, round by round."""
    found = []
    with trial_service({}, UNBOUNDED, weights) as service, tasks_of(service) as tasks:
        fields = {"type": "video", "media_url": url, "sample_rate": rate}
        tasks.finish(tasks.create(**fields, end_time=CLIP_S))
        for _ in range(rounds):
            begun = time.perf_counter()
            tasks.finish(tasks.create(**fields), ASK_EVERY_S)
            took = time.perf_counter() - begun
            found.append((took, run_split(weights / "yunet.onnx", video, rate, 2)))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=default_home() / "models")
    parser.add_argument("--minutes", type=float, default=2.0, help="length of the video")
    parser.add_argument("--long", type=float, default=10.0, help="length of the one for scaling; 0 leaves it")
    parser.add_argument("--rate", type=int, default=2, help="samples a second")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("bench/video_tasks.json"))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as address:
        folder = Path(name)
        render(folder / "clip.mp4", CLIP_S * RATE, GROUP)
        video = repeated(folder / "clip.mp4", folder / "video.mp4", round(options.minutes * 60 / CLIP_S))
        times = against_script(video, f"{address}/video.mp4", options.weights, options.rate, options.rounds)
        scaling = script_scaling = None
        if options.long:
            one, two = (
                run_split(options.weights / "yunet.onnx", video, options.rate, parts) for parts in (1, 2)
            )
            script_scaling = one / two
            repeated(folder / "clip.mp4", folder / "long.mp4", round(options.long * 60 / CLIP_S))
            one, two = (
                task_s(
                    {"chunks": {"num_cpus": 0.1, "at_once": workers}},
                    options.weights,
                    f"{address}/long.mp4",
                    options.rate,
                    1,
                )[0]
                for workers in (1, 2)
            )
            scaling = one / two
    frames = round(options.minutes * 60 / CLIP_S) * CLIP_S * RATE
    figures = Figures(
        frames / statistics.median(task for task, _ in times),
        frames / statistics.median(script for _, script in times),
        statistics.median(script / task for task, script in times),
        scaling,
        script_scaling,
    )
    show(figures, options.minutes, options.rate, options.long)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(asdict(figures), indent=2))


def show(figures: Figures, minutes: float, rate: int, long: float) -> None:
    """Print the table."""
    table = Table(title=f"1080p H.264, {minutes:g} minutes, {rate} samples a second, 2 cores")
    for name in ("", "task", "script", "ratio", "bar"):
        table.add_column(name, justify="right")
    table.add_row(
        "frames/s",
        f"{figures.task_fps:.0f}",
        f"{figures.script_fps:.0f}",
        f"{figures.ratio:.2f}",
        f"{THROUGHPUT_BAR:.2f}",
    )
    if figures.scaling is not None:
        table.add_row(
            f"2 workers for 1, {long:g} minutes",
            f"{figures.scaling:.2f}",
            f"{figures.script_scaling:.2f}",
            f"{figures.scaling / (figures.script_scaling or 1):.2f}",
            f"{SCALING_BAR:.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
