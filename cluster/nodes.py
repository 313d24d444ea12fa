"""More machines for a service than one, for trying: raylets of their own on this box, which join its Ray.

    python -m cluster.nodes --name second --cpus 2

They bear the mark of the service, so `facefleet down` ends them too. In a cluster KubeRay starts machines.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated

import psutil
import typer

from app.settings import load_settings
from cluster.environment import environment, place_of
from cluster.local import ServiceProblem, read_state
from cluster.ports import LOOPBACK, free_ports, ports_for
from cluster.processes import marked

if TYPE_CHECKING:
    from app.settings import Settings

#: In the environment of a node's processes: which one they belong to.
NODE_ENV = "FACEFLEET_NODE"
START_TIMEOUT_S = 60
OBJECT_STORE_BYTES = 128 * 1024 * 1024


def add_node(settings: Settings, name: str, cpus: int) -> None:
    """Start a raylet that joins the service of these settings.

    Raises:
        ServiceProblem: there is no such service, or the raylet did not start.
    """
    place = place_of(settings)
    running = read_state(place)
    if running is None:
        message = "no service of this home runs here"
        raise ServiceProblem(message)
    agent, agent_grpc, runtime_env, metrics = free_ports(4)
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={running.ray_address}"),
        f"--node-ip-address={LOOPBACK}",
        f"--num-cpus={cpus}",
        f"--dashboard-agent-listen-port={agent}",
        f"--dashboard-agent-grpc-port={agent_grpc}",
        f"--runtime-env-agent-port={runtime_env}",
        f"--metrics-export-port={metrics}",
        "--min-worker-port=0",
        "--max-worker-port=0",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        "--disable-usage-stats",
    ]
    # What makes one box stay on loopback forbids a second node; its address is said above.
    variables = {
        **environment(settings, place, ports_for(place.home)),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
    }
    ran = subprocess.run(  # noqa: S603 - our own command
        command,
        env={**os.environ, **variables, NODE_ENV: name},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
        cwd=place.run,
    )
    if ran.returncode != 0:
        message = f"the node did not start:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}"
        raise ServiceProblem(message)


def processes_of(mark: str, name: str) -> list[psutil.Process]:
    """Return everything that runs on a node of the service with this mark."""
    found = []
    for process in marked(mark):
        try:
            if process.environ().get(NODE_ENV) == name:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def main(
    *,
    name: Annotated[str, typer.Option(help="What the node is called.")] = "second",
    cpus: Annotated[int, typer.Option(help="Cores that Ray is told it has.")] = 2,
) -> None:
    """Add a node to the service of this home."""
    add_node(load_settings(), name, cpus)
    typer.echo(f"facefleet: node {name} has joined")


if __name__ == "__main__":
    typer.run(main)
