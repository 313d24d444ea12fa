"""`python -m cluster.bench.storage_http`: detect over HTTP with storage off and on, in turns, in one run.

Each detector is asked in turn: the quicker it is, the more shows what storing costs beside it. Both services
run all the time, and one at a time is under load. Every picture differs, so none is spared as a repetition. A
bar of 0.85 is held for the ratio of pictures a second; that of processor time says the same where other
programs disturb. Last, a crowd of clients asks the one that keeps everything in SQLite: every answer must be
a 200.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.bench.load import form_request, run_load
from cluster.bench.pictures import group_photo
from cluster.trial import trial_service
from models.store import default_home

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.trial import Trial

CONNECTIONS = 8
CROWD = 200
BAR = 0.85
#: Bytes behind a picture's end, which no decoder reads.
MARK = 16


def varied(service: Trial, model: str) -> Callable[[], bytes]:
    """Return a function that makes a request with a picture that was never sent before."""
    picture = group_photo()
    request = form_request(f"/api/v1/detect?model={model}", service.port, picture + bytes(MARK), service.key)
    place = request.rindex(picture[-32:] + bytes(MARK)) + 32
    return lambda: request[:place] + os.urandom(MARK) + request[place + MARK :]


def measure(
    services: dict[str, Trial], model: str, seconds: float, rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return pictures a second, and processor milliseconds for each, by mode and round."""
    rates: dict[str, list[float]] = {mode: [] for mode in services}
    costs: dict[str, list[float]] = {mode: [] for mode in services}
    requests = {mode: varied(service, model) for mode, service in services.items()}
    for mode, service in services.items():
        run_load(requests[mode], service.port, CONNECTIONS, seconds=3)
    for turn in range(rounds):
        # Whoever is first in a round finds the machine cooler: each is first in turn.
        for mode in sorted(services, reverse=turn % 2 == 1):
            service = services[mode]
            before = _cpu_s(service)
            load = run_load(requests[mode], service.port, CONNECTIONS, seconds=seconds)
            if set(load.statuses) != {200}:
                message = f"answers other than 200: {dict(load.statuses)}"
                raise RuntimeError(message)
            rates[mode].append(load.per_second)
            costs[mode].append((_cpu_s(service) - before) * 1e3 / load.statuses[200])
    return rates, costs


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, default=default_home() / "models")
    parser.add_argument("--detectors", nargs="+", default=["yunet", "scrfd_500m"])
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("bench/storage_http.json"))
    chosen = parser.parse_args()
    args = {"detectors": chosen.detectors}
    without = {"FACE_API_STORAGE_ENABLED": "false"}
    with (
        trial_service(args, without, chosen.weights) as off,
        trial_service(args, weights=chosen.weights) as on,
    ):
        seen = {
            model: measure({"off": off, "on": on}, model, chosen.seconds, chosen.rounds)
            for model in chosen.detectors
        }
        crowd = run_load(varied(on, chosen.detectors[0]), on.port, CROWD, requests=5 * CROWD)
    taken = {model: _report(model, rates, costs) for model, (rates, costs) in seen.items()}
    print(f"{CROWD} clients at once: {dict(crowd.statuses)}, p99 {crowd.percentile_ms(99):.0f} ms")
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    crowd_seen = {str(status): count for status, count in crowd.statuses.items()}
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    chosen.out.write_text(json.dumps({"at": at, "detectors": taken, "crowd": crowd_seen}, indent=2), "utf-8")


def _report(model: str, rates: dict[str, list[float]], costs: dict[str, list[float]]) -> dict[str, object]:
    """Print what one detector's rounds gave, and return it."""
    ratios = [on / off for off, on in zip(rates["off"], rates["on"], strict=True)]
    cpu_ratios = [off / on for off, on in zip(costs["off"], costs["on"], strict=True)]
    for mode, seen in rates.items():
        shown = ", ".join(f"{rate:.1f}" for rate in seen)
        print(
            f"{model:<12}storage {mode:<4}{statistics.median(seen):>8.1f} pictures/s  "
            f"{statistics.median(costs[mode]):>6.1f} ms CPU each   rounds: {shown}"
        )
    ratio, cpu_ratio = statistics.median(ratios), statistics.median(cpu_ratios)
    print(f"{model:<12}ratio {ratio:.3f} (bar {BAR}); of processor time {cpu_ratio:.3f}")
    return {"rates": rates, "cpu_ms": costs, "ratio": ratio, "cpu_ratio": cpu_ratio}


def _cpu_s(service: Trial) -> float:
    """Return the processor time that all processes of a service have used."""
    return sum(times.user + times.system for each in service.processes() for times in [each.cpu_times()])


if __name__ == "__main__":
    main()
