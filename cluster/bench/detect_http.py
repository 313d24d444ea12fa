"""`python -m cluster.bench.detect_http`: detect over HTTP beside what the same cores do without a service.

For each detector and each placement: pictures a second over HTTP, beside two single-thread processes that
only decode, letterbox and run the network, before and after, in one run; and the processor time of a
picture, service and script, which a noisy machine disturbs less.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from cluster.bench.load import FORGETFUL, form_request, run_load
from cluster.bench.pictures import group_photo
from cluster.bench.raw import Raw, run_raw
from cluster.trial import Trial, trial_service
from models import graph
from models.manifest import load_manifest
from models.store import Store, default_home

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 8
PLACEMENTS: dict[str, dict[str, Any]] = {
    "inline": {"placement": {"decode": "ingress", "detector": "inline"}},
    "one hop": {
        "placement": {"decode": "stage", "detector": "inline"},
        "ingress": {"min_replicas": 1, "max_replicas": 1},
        "stage": {"min_replicas": 2, "max_replicas": 2, "max_waiting": 128},
    },
    "pool": {
        "placement": {"decode": "ingress", "detector": "pool"},
        "ingress": {"min_replicas": 1, "max_replicas": 1, "max_waiting": 128},
        "detector": {"min_replicas": 2, "max_replicas": 2, "max_waiting": 128},
    },
}
#: The least share of the raw figure that each placement must reach.
BARS = {"inline": 0.90, "one hop": 0.85, "pool": 0.70}


@dataclass(frozen=True, slots=True)
class Row:
    """One placement of one detector."""

    detector: str
    placement: str
    per_second: float
    raw_per_second: float
    raw_tuned_per_second: float
    cpu_ms: float
    raw_cpu_ms: float
    p50_ms: float
    p99_ms: float
    faults: float

    @property
    def ratio(self) -> float:
        """Tell how much of the raw throughput is left."""
        return self.per_second / self.raw_per_second


def measure(detector: str, placement: str, weights: Path, seconds: float, rounds: int) -> Row:
    """Start the service so placed, load it, and measure the raw loop between the rounds."""
    picture = group_photo()
    with TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        photo.write_bytes(picture)
        network = relaxed(detector, weights, Path(folder))
        scale = load_manifest()[detector].input
        raw = partial(run_raw, network, photo, seconds=seconds, mean=scale.mean[0], scale=scale.scale[0])
        args = {**PLACEMENTS[placement], "detectors": [detector]}
        plain: list[Raw] = []
        tuned: list[Raw] = []
        rates, cpu, times, faults = [], [], [], []
        with trial_service(args, FORGETFUL, weights) as service:
            request = form_request("/api/v1/detect", service.port, picture, service.key)
            run_load(request, service.port, CONNECTIONS, seconds=3)
            for _ in range(rounds):
                plain.append(raw())
                before = _used(service)
                load = run_load(request, service.port, CONNECTIONS, seconds=seconds)
                after = _used(service)
                if set(load.statuses) != {200}:
                    message = f"answers other than 200: {dict(load.statuses)}"
                    raise RuntimeError(message)
                rates.append(load.per_second)
                times += load.times_ms
                cpu.append((after[0] - before[0]) * 1e3 / load.statuses[200])
                faults.append((after[1] - before[1]) / load.statuses[200])
                tuned.append(raw(tuned=True))
    cuts = statistics.quantiles(times, n=100)
    return Row(
        detector,
        placement,
        statistics.median(rates),
        statistics.median(each.per_second for each in plain),
        statistics.median(each.per_second for each in tuned),
        statistics.median(cpu),
        statistics.median(each.cpu_ms for each in plain),
        cuts[49],
        cuts[98],
        statistics.median(faults),
    )


def relaxed(detector: str, weights: Path, folder: Path) -> Path:
    """Return the network's file with free height and width, for a plain ONNX Runtime session."""
    target = folder / "network.onnx"
    target.write_bytes(graph.relax_file(Store(weights).path(load_manifest()[detector])))
    return target


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(title="POST /api/v1/detect, 1280x886 JPEG, 8 connections, pictures a second")
    for name in ("detector", "placement", "service", "raw", "ratio", "bar", "raw tuned", "ratio"):
        table.add_column(name, justify="right")
    for name in ("CPU ms", "raw CPU ms", "p50 ms", "p99 ms", "faults"):
        table.add_column(name, justify="right")
    for row in rows:
        bar = BARS.get(row.placement)
        table.add_row(
            row.detector,
            row.placement,
            f"{row.per_second:.1f}",
            f"{row.raw_per_second:.1f}",
            f"{row.ratio:.2f}",
            f"{bar:.2f}" if bar else "",
            f"{row.raw_tuned_per_second:.1f}",
            f"{row.per_second / row.raw_tuned_per_second:.2f}",
            f"{row.cpu_ms:.1f}",
            f"{row.raw_cpu_ms:.1f}",
            f"{row.p50_ms:.0f}",
            f"{row.p99_ms:.0f}",
            f"{row.faults:.0f}",
        )
    Console(width=160).print(table)


def _used(service: Trial) -> tuple[float, int]:
    """Return processor seconds of all the service's processes, and page faults of its replicas."""
    seconds = 0.0
    for process in service.processes():
        with contextlib.suppress(Exception):
            times = process.cpu_times()
            seconds += times.user + times.system
    faults = sum(_minor_faults(each.pid) for each in service.replicas())
    return seconds, faults


def _minor_faults(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[7])


def main() -> None:
    """Measure what the command line names, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detectors", default="yunet,scrfd_500m")
    parser.add_argument("--placements", default=",".join(PLACEMENTS))
    parser.add_argument("--weights", type=Path, default=default_home() / "models")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("bench/detect_http.json"))
    options = parser.parse_args()
    rows = []
    for detector in options.detectors.split(","):
        problem = Store(options.weights).problem(load_manifest()[detector])
        if problem:
            print(f"left out: {problem}")
            continue
        for placement in options.placements.split(","):
            rows.append(measure(detector, placement, options.weights, options.seconds, options.rounds))
            show(rows[-1:])
    show(rows)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    taken = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "rows": [asdict(row) for row in rows]}
    options.out.write_text(json.dumps(taken, indent=2))


if __name__ == "__main__":
    main()
