"""Load comes and goes: how soon replicas follow, and that no request is lost meanwhile.

    python -m cluster.bench.autoscaling [WEIGHTS_FOLDER]

One replica at first, four at most. Quiet, then clients that send picture after picture, then quiet until one
replica is left. Prints when what happened and writes bench/autoscaling.json and a plot beside it.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from cluster.bench.clients import Clients
from cluster.bench.pictures import group_photo
from cluster.bench.plot import Line, plot
from cluster.trial import trial_service

if TYPE_CHECKING:
    from cluster.trial import Trial

FEWEST, MOST = 1, 4
SHAPE = {
    "ingress": {
        "min_replicas": FEWEST,
        "max_replicas": MOST,
        "target_ongoing_requests": 2,
        "num_cpus": 0.1,
    }
}
CLIENTS = 8
QUIET_S, LOADED_S, PATIENCE_S = 5.0, 45.0, 180.0


@dataclass(frozen=True, slots=True)
class Look:
    """How many replicas there were at a moment, how many were wanted, and how many answers there were."""

    at_s: float
    running: int
    wanted: int
    answered: int


def watch(service: Trial, picture: bytes) -> tuple[list[Look], Clients, float, float]:
    """Return what was seen, the clients, and when load came and went."""
    clients, begun = Clients(service, picture, CLIENTS), time.monotonic()
    looks: list[Look] = []
    clients.start()
    came = went = 0.0
    try:
        while True:
            now = time.monotonic() - begun
            if now > QUIET_S and not came:
                came = now
                clients.go_on()
            if now > QUIET_S + LOADED_S and not went:
                went = now
                clients.pause()
            running, wanted = replicas(service)
            looks.append(Look(round(now, 2), running, wanted, len(clients.replies)))
            if went and (running == wanted == FEWEST or now > went + PATIENCE_S):
                return looks, clients, came, went
            time.sleep(0.25)
    finally:
        clients.stop()


def replicas(service: Trial) -> tuple[int, int]:
    """Return how many ingress replicas run, and how many there should be."""
    answer = httpx.get(
        f"{service.url}/api/v1/admin/overview",
        auth=("admin", service.admin_password),
        timeout=60,
        trust_env=False,
    ).json()
    for each in answer["deployments"]:
        if each["name"] == "ingress":
            return each["running"], each["wanted"]
    return 0, 0


def first(
    looks: list[Look], since_s: float, *, running: int | None = None, wanted: int | None = None
) -> float:
    """Return how long after a moment there first were more than so many; NaN where there never were."""
    for look in looks:
        if look.at_s >= since_s and (
            (running is not None and look.running > running) or (wanted is not None and look.wanted > wanted)
        ):
            return look.at_s - since_s
    return float("nan")


def main() -> None:
    """Run it, print it, and write it down."""
    weights = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with trial_service(SHAPE, {"FACE_API_STORAGE_ENABLED": "false"}, weights=weights) as service:
        looks, clients, came, went = watch(service, group_photo())
    back = looks[-1].at_s - went
    figures = {
        "load_came_s": came,
        "load_went_s": went,
        "first_more_wanted_s": round(first(looks, came, wanted=FEWEST), 2),
        "first_more_running_s": round(first(looks, came, running=FEWEST), 2),
        "most_running": max(look.running for look in looks),
        "back_to_fewest_s": round(back, 2),
        "statuses": clients.statuses(),
        "without_answer": len(clients.lost),
    }
    for name, value in figures.items():
        print(f"{name:24} {value}")
    out = Path("bench")
    out.mkdir(exist_ok=True)
    (out / "autoscaling.json").write_text(
        json.dumps({**figures, "looks": [asdict(look) for look in looks]}, indent=1)
    )
    times = [look.at_s for look in looks]
    lines = [
        Line("replicas wanted", times, [look.wanted for look in looks]),
        Line("replicas that run", times, [look.running for look in looks]),
    ]
    marks = {f"{CLIENTS} clients come": came, "they go": went}
    (out / "autoscaling.svg").write_text(plot("Replicas of the ingress, by seconds", lines, marks))


if __name__ == "__main__":
    main()
