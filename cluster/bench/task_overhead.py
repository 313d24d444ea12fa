"""`python -m cluster.bench.task_overhead`: what a task costs beyond its media.

- one picture: from create to succeeded, and from there to its webhook, on an idle service;
- 500 queued tasks: how long create and list take behind them;
- a video of 2 GB: what it adds to the memory of any process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from rich.console import Console
from rich.table import Table

from cluster.bench.pictures import group_photo
from cluster.bench.task_load import UNBOUNDED, hearing, tasks_of
from cluster.bench.video_decode import RATE, render
from cluster.bench.videos import repeated, served
from cluster.trial import trial_service
from models.store import default_home

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cluster.bench.task_load import Tasks
    from cluster.trial import Trial

PICTURES, QUEUED, ASKED = 30, 500, 40
LARGE_BYTES, CLIP_S = 1_950_000_000, 10
#: An address that answers nobody: a task that fetches from it stays in work.
SILENT = "http://127.0.0.1:9/never.jpg"


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians in milliseconds, but for the last: megabytes."""

    create_to_succeeded_ms: float
    succeeded_to_webhook_ms: float
    create_behind_queue_ms: float
    list_behind_queue_ms: float
    added_mb: float | None


BARS = Figures(250, 300, 50, 50, 400)


def picture_task(tasks: Tasks, address: str) -> tuple[float, float]:
    """Return how long pictures take to succeed, and their webhooks after that."""
    took, told = [], []
    with hearing() as hearer:
        for _ in range(PICTURES):
            begun = time.time()
            task_id = tasks.create(type="image", media_url=f"{address}/photo.jpg", callback_url=hearer.url)
            tasks.finish(task_id, every_s=0.005)
            succeeded = time.time()
            while task_id not in hearer.at:
                time.sleep(0.001)
            took.append((succeeded - begun) * 1e3)
            # Both may come in any order: the receiver is told while the client still asks.
            told.append(max(0.0, hearer.at[task_id] - succeeded) * 1e3)
            time.sleep(0.05)
    return statistics.median(took), statistics.median(told)


def behind_queue(tasks: Tasks) -> tuple[float, float]:
    """Return how long create and list take while so many tasks wait."""
    for _ in range(QUEUED):
        tasks.create(type="image", media_url=SILENT)
    created = _median_ms(lambda: tasks.create(type="image", media_url=SILENT))
    listed = _median_ms(lambda: tasks.http.get("/v1/tasks", params={"limit": 100}).raise_for_status())
    return created, listed


def _median_ms(step: Callable[[], object]) -> float:
    times = []
    for _ in range(ASKED):
        begun = time.perf_counter()
        step()
        times.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(times)


def added_by_large_video(service: Trial, tasks: Tasks, folder: Path, address: str) -> float:
    """Return the most that a process of the service grew by, in MB, over a video of 2 GB."""
    render(folder / "clip.mp4", CLIP_S * RATE, RATE, bit_rate=40_000_000)
    times = LARGE_BYTES // (folder / "clip.mp4").stat().st_size
    repeated(folder / "clip.mp4", folder / "large.mp4", times)
    fields: dict[str, Any] = {"type": "video", "sample_rate": 1}
    # The workers' own start is not the video's doing.
    first = [tasks.create(**fields, media_url=f"{address}/clip.mp4") for _ in range(4)]
    for task_id in first:
        tasks.finish(task_id)
    before = _memory(service)
    most: dict[int, float] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            for pid, size in _memory(service).items():
                most[pid] = max(most.get(pid, 0.0), size)

    watching = threading.Thread(target=watch)
    watching.start()
    tasks.finish(tasks.create(**fields, media_url=f"{address}/large.mp4"), every_s=0.5)
    over.set()
    watching.join()
    # A process that is new is counted whole.
    return max(size - before.get(pid, 0.0) for pid, size in most.items())


def _memory(service: Trial) -> dict[int, float]:
    found: dict[int, float] = {}
    for process in service.processes():
        try:
            found[process.pid] = process.memory_info().rss / 1e6
        except psutil.Error:
            continue
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=default_home() / "models")
    parser.add_argument("--no-large", action="store_true", help="leave the video of 2 GB out")
    parser.add_argument("--out", type=Path, default=Path("bench/task_overhead.json"))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as address:
        (Path(name) / "photo.jpg").write_bytes(group_photo())
        with trial_service({}, UNBOUNDED, options.weights) as service, tasks_of(service) as tasks:
            picture_task(tasks, address)
            succeeded, told = picture_task(tasks, address)
            added = None
            if not options.no_large:
                added = added_by_large_video(service, tasks, Path(name), address)
            created, listed = behind_queue(tasks)
    figures = Figures(succeeded, told, created, listed, added)
    show(figures)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(asdict(figures), indent=2))


def show(figures: Figures) -> None:
    """Print the table."""
    table = Table(title="Tasks on an idle service")
    for column in ("", "median", "bar"):
        table.add_column(column, justify="right")
    for name, value in asdict(figures).items():
        if value is not None:
            table.add_row(name.replace("_", " "), f"{value:.1f}", f"{asdict(BARS)[name]:g}")
    Console().print(table)


if __name__ == "__main__":
    main()
