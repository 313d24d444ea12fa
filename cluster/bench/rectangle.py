"""`python -m cluster.bench.rectangle`: what a 16:9 picture costs as its rectangle and as the whole square.

Services that differ in this alone take turns; one that idles beside the other would take its time.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from cluster.bench.load import FORGETFUL, form_request, run_load
from cluster.bench.pictures import group_photo
from cluster.trial import trial_service
from models.manifest import load_manifest
from models.store import Store, default_home

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 8
BAR = 1.5


def wide_photo() -> bytes:
    """Return the group photo cut to 1280x720."""
    pixels = np.asarray(cv2.imdecode(np.frombuffer(group_photo(), np.uint8), cv2.IMREAD_COLOR))[80:800]
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


def measure(detector: str, weights: Path, seconds: float, rounds: int) -> dict[str, float]:
    """Return pictures a second of the detector as rectangle and as square, medians over the rounds."""
    rates: dict[str, list[float]] = {"rectangle": [], "square": []}
    for _ in range(rounds):
        for shape, found in rates.items():
            args = {"detectors": [detector], "square": shape == "square"}
            with trial_service(args, FORGETFUL, weights) as service:
                request = form_request("/api/v1/detect", service.port, wide_photo(), service.key)
                run_load(request, service.port, CONNECTIONS, seconds=2)
                found.append(run_load(request, service.port, CONNECTIONS, seconds=seconds).per_second)
    ratios = [a / b for a, b in zip(rates["rectangle"], rates["square"], strict=True)]
    medians = {shape: statistics.median(each) for shape, each in rates.items()}
    return {**medians, "ratio": statistics.median(ratios)}


def show(found: dict[str, dict[str, float]]) -> None:
    """Print the table."""
    table = Table(title="1280x720 JPEG over HTTP, pictures a second")
    for name in ("detector", "rectangle", "square", "ratio", "bar"):
        table.add_column(name, justify="right")
    for detector, row in found.items():
        table.add_row(
            detector,
            f"{row['rectangle']:.1f}",
            f"{row['square']:.1f}",
            f"{row['ratio']:.2f}",
            f"{BAR:.2f}",
        )
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line names, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detectors", default="yunet,scrfd_500m,scrfd_2.5g")
    parser.add_argument("--weights", type=Path, default=default_home() / "models")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("bench/rectangle.json"))
    options = parser.parse_args(arguments)
    store = Store(options.weights)
    found = {}
    for detector in options.detectors.split(","):
        if problem := store.problem(load_manifest()[detector]):
            print(f"left out: {problem}")
            continue
        found[detector] = measure(detector, options.weights, options.seconds, options.rounds)
    show(found)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
