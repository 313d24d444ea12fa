"""`python -m cluster.bench.memory`: what the whole service holds, idle and after much work."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cluster.bench.load import UNLIMITED, form_request, run_load
from cluster.bench.pictures import group_photo
from cluster.trial import trial_service
from models.store import default_home

CONNECTIONS = 8
FIRST = 500
IDLE_BAR_MB = 1800
GROWTH_BAR = 1.05
SETTLE_S = 5.0


def main() -> None:
    """Measure, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--weights", type=Path, default=default_home() / "models")
    parser.add_argument("--out", type=Path, default=Path("bench/memory.json"))
    options = parser.parse_args()
    figures: dict[str, float] = {}
    with trial_service({}, UNLIMITED, options.weights if options.weights.is_dir() else None) as service:
        time.sleep(SETTLE_S)
        figures["idle, shared counted once"] = service.memory_mb()
        figures["idle, resident sizes added"] = sum(
            each.memory_info().rss / 1e6 for each in service.processes()
        )
        request = form_request("/api/v1/detect", service.port, group_photo(), service.key)
        run_load(request, service.port, CONNECTIONS, requests=FIRST)
        figures[f"after {FIRST} requests"] = service.memory_mb()
        load = run_load(request, service.port, CONNECTIONS, requests=options.requests)
        figures[f"after {options.requests} more"] = service.memory_mb()
    growth = figures[f"after {options.requests} more"] / figures[f"after {FIRST} requests"]
    table = Table(title="Memory of the whole service: Ray, Serve, HAProxy, replicas")
    table.add_column("when")
    table.add_column("MB", justify="right")
    for when, megabytes in figures.items():
        table.add_row(when, f"{megabytes:.0f}")
    Console().print(table)
    print(f"idle bar {IDLE_BAR_MB} MB; growth {growth:.3f}, bar {GROWTH_BAR}; answers {dict(load.statuses)}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"mb": figures, "growth": growth}, indent=2))


if __name__ == "__main__":
    main()
