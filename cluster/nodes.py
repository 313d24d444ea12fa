"""More nodes for a service than one, for trying: raylets of their own on this box, which join its Ray.

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
from cluster.ports import LOOPBACK, free_ports, reserved_ports
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
    log = place.run / f"node-{name}.log"
    with reserved_ports(place.home) as ports, log.open("wb") as out:  # no pipe: what is started keeps it open
        variables = {**environment(settings, place, ports), NODE_ENV: name}
        code = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "cluster.join", running.ray_address, str(cpus), name],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=START_TIMEOUT_S,
            check=False,
        ).returncode
    if code != 0:
        message = f"the node did not start (see {log}):\n{log.read_text(errors='replace')[-2000:]}"
        raise ServiceProblem(message)


def join(address: str, cpus: int, name: str) -> None:
    """Start a raylet in the environment of this process, and leave it running.

    `ray start` does this too, but either refuses a second node on loopback or leaves loopback.
    """
    from ray._private.node import Node  # noqa: PLC0415 - the environment must be set first
    from ray._private.parameter import RayParams  # noqa: PLC0415 - as above

    agent, agent_grpc, runtime_env, metrics = free_ports(4)
    parameters = RayParams(
        gcs_address=address,
        node_ip_address=LOOPBACK,
        num_cpus=cpus,
        node_name=name,
        dashboard_agent_listen_port=agent,
        metrics_agent_port=agent_grpc,
        runtime_env_agent_port=runtime_env,
        metrics_export_port=metrics,
        min_worker_port=0,
        max_worker_port=0,
        object_store_memory=OBJECT_STORE_BYTES,
    )
    Node(parameters, head=False, shutdown_at_exit=False, spawn_reaper=False)


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
