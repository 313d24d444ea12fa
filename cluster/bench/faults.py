"""What happens when parts of a running service die under load: one command, one table.

    python -m cluster.bench.faults [WEIGHTS_FOLDER]

A service on two nodes (two raylets of this box; the edge is on the first), each kind of replica on both.
Clients send pictures all the time. Each fault is real: SIGKILL. Told are how long requests went wrong after
it, what callers saw, and how long until everything that should run did again. Writes bench/faults.json.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from app.settings import load_settings
from cluster.bench.clients import Clients
from cluster.bench.pictures import group_photo
from cluster.nodes import add_node, processes_of
from cluster.processes import marked
from cluster.trial import trial_service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cluster.trial import Trial

SECOND = "second"
#: The second ones come with the second node, which has more room for them.
ONE_EACH = {"min_replicas": 1, "max_replicas": 1, "num_cpus": 0.1}
SHAPE: dict[str, Any] = {
    "placement": {"decode": "stage", "detector": "pool", "attributes": "inline"},
    "ingress": ONE_EACH,
    "stage": ONE_EACH,
    "detector": {**ONE_EACH, "max_batch_size": 4, "batch_wait_timeout_s": 0.002},
    "attribute_networks": [],
    "embedding_network": None,
}
CLIENTS, PAUSE_S = 3, 0.1
FROZEN_S = 45.0
CALM_S, PATIENCE_S = 4.0, 120.0
#: Seconds that requests may go wrong for: after a replica's death, after a node's.
REPLICA_BAR_S, NODE_BAR_S = 5.0, 30.0
#: Until Ray believes that a node which says nothing is gone.
FROZEN_BAR_S = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen of a fault.

    Attributes:
        fault: what was done.
        wrong_for_s: from the fault to the last request that went wrong; 0 if none did.
        whole_after_s: from the fault until all replicas ran again; None if that took too long.
        answers: by status, from the fault on.
        lost: requests without any answer.
        bar_s: how long requests may go wrong for.
    """

    fault: str
    wrong_for_s: float
    whole_after_s: float | None
    answers: Mapping[int, int]
    lost: int
    bar_s: float


def kill(processes: list[psutil.Process]) -> None:
    """Kill all of them at once; there must be some.

    Raises:
        LookupError: there is nobody to kill.
    """
    if not processes:
        message = "nobody to kill"
        raise LookupError(message)
    for process in processes:
        process.kill()


def replicas(service: Trial) -> dict[str, tuple[int, int]] | None:
    """Return how many replicas of what run and how many should; None where nobody says."""
    try:
        answer = httpx.get(
            f"{service.url}/api/v1/admin/overview",
            auth=("admin", service.admin_password),
            timeout=10,
            trust_env=False,
        )
        return {each["name"]: (each["running"], each["wanted"]) for each in answer.json()["deployments"]}
    except (httpx.HTTPError, ValueError, KeyError):
        return None


def strike(service: Trial, clients: Clients, fault: str, do: Callable[[], None], bar_s: float) -> Outcome:
    """Do it and watch until all is well again."""
    usual, processes = replicas(service), len(service.replicas())
    begun = time.monotonic()
    do()
    whole: float | None = None
    while time.monotonic() < begun + PATIENCE_S:
        now = time.monotonic()
        # Serve notices a death a little later: until then the number of processes knows better.
        if len(service.replicas()) < processes or replicas(service) != usual:
            whole = None
        elif whole is None:
            whole = now - begun
        if whole is not None and now - begun - whole > CALM_S and _is_calm(clients, now):
            break
        time.sleep(0.2)
    else:
        sys.stderr.write(f"{fault}: {usual} before, {replicas(service)} now\n")
    last = clients.last_bad(begun)
    return Outcome(
        fault,
        round(last - begun, 1) if last else 0.0,
        None if whole is None else round(whole, 1),
        clients.statuses(begun),
        sum(at >= begun for at in clients.lost),
        bar_s,
    )


def _is_calm(clients: Clients, now: float) -> bool:
    """Tell whether there were good answers, and nothing else, for a while."""
    return clients.last_bad(now - CALM_S) is None and bool(clients.statuses(now - CALM_S))


def titled(service: Trial, *words: str) -> list[psutil.Process]:
    """Return the service's processes with one of these in their command line."""
    found = []
    for process in marked(str(service.home)):
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if any(word in line for word in words):
            found.append(process)
    return found


def faults(service: Trial) -> list[tuple[str, Callable[[], None], float]]:
    """Return what is done, in order; the node goes last."""
    one = [
        (f"one of two replicas of `{kind}`", partial(_kill_first, service, kind), REPLICA_BAR_S)
        for kind in ("ingress", "stage", "detector-yunet")
    ]
    every = [
        (f"all replicas of `{kind}`", partial(_kill_all, service, kind), NODE_BAR_S)
        for kind in ("ingress", "stage", "detector-yunet")
    ]
    return [
        *one,
        ("the runner of tasks", partial(_kill_all, service, "tasks"), REPLICA_BAR_S),
        *every,
        ("the edge (HAProxy)", lambda: kill(titled(service, "haproxy.edge.cfg")), NODE_BAR_S),
        ("Serve's controller", lambda: kill(titled(service, "ServeController")), REPLICA_BAR_S),
        (
            "a node with all that runs there",
            lambda: kill(processes_of(str(service.home), SECOND)),
            NODE_BAR_S,
        ),
    ]


def freeze(service: Trial) -> None:
    """Have a node say nothing for a while, as where its network is cut, and then come back."""
    stopped = processes_of(str(service.home), SECOND)
    for process in stopped:
        process.suspend()
    threading.Timer(FROZEN_S, _thaw, [stopped]).start()


def _thaw(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.resume()


def _kill_first(service: Trial, kind: str) -> None:
    kill(service.replicas(kind)[:1])


def _kill_all(service: Trial, kind: str) -> None:
    kill(service.replicas(kind))


def two_nodes(service: Trial) -> None:
    """Add the second node, and a second replica of each kind, which has its place only there.

    Raises:
        RuntimeError: the service could not be scaled.
    """
    os.environ.update(service.variables)
    add_node(load_settings(), SECOND, cpus=2)
    ran = service.facefleet("scale", "ingress=2", "stage=2", "detector=2")
    if ran.returncode != 0:
        raise RuntimeError(ran.stderr)


def run(weights: Path | None) -> list[Outcome]:
    """Return what was seen of every fault."""
    outcomes = []
    with trial_service(
        SHAPE,
        {"FACE_API_STORAGE_ENABLED": "false"},
        weights=weights,
        proxy_location="HeadOnly",
    ) as service:
        two_nodes(service)
        clients = Clients(service, group_photo(), CLIENTS, PAUSE_S)
        clients.start()
        clients.go_on()
        time.sleep(3)
        try:
            for fault, do, bar_s in faults(service):
                outcome = strike(service, clients, fault, do, bar_s)
                outcomes.append(outcome)
                print(line(outcome), flush=True)
            two_nodes(service)
            outcomes.append(
                strike(service, clients, "a node that is frozen", partial(freeze, service), FROZEN_BAR_S)
            )
            print(line(outcomes[-1]), flush=True)
        finally:
            clients.stop()
    return outcomes


def line(outcome: Outcome) -> str:
    """Return a row of the table."""
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(outcome.answers.items()))
    verdict = "yes" if outcome.wrong_for_s <= outcome.bar_s and not outcome.lost else "NO"
    whole = "-" if outcome.whole_after_s is None else f"{outcome.whole_after_s:.1f} s"
    lost = f", {outcome.lost} without an answer" if outcome.lost else ""
    return (
        f"| {outcome.fault} | {outcome.wrong_for_s:.1f} s | {outcome.bar_s:.0f} s | {verdict} | "
        f"{whole} | {answers}{lost} |"
    )


def main() -> None:
    """Print the table and write it down."""
    print("| killed | requests went wrong for | bar | met | all replicas again after | callers saw |")
    print("|---|---|---|---|---|---|")
    outcomes = run(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    out = Path("bench")
    out.mkdir(exist_ok=True)
    (out / "faults.json").write_text(json.dumps([asdict(each) for each in outcomes], indent=1))


if __name__ == "__main__":
    main()
