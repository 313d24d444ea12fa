"""Starts Ray on this box for one service."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from cluster.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster.environment import Place
    from cluster.ports import Ports

OBJECT_STORE_BYTES = 256 * 1024 * 1024
START_TIMEOUT_S = 60


class RayDidNotStart(Exception):
    """Ray did not start; the text has its last words."""


def leave_out_client_server(params: Any, head: bool) -> None:  # noqa: ANN401, FBT001, ARG001 - Ray's hook
    """Drop the server for remote drivers, which nobody needs here; Ray calls this before it starts."""
    params.ray_client_server_port = None


def start_ray(place: Place, variables: Mapping[str, str], ports: Ports, metrics_port: int) -> str:
    """Start a head node for the service, whose figures are read at this port; return its address.

    Raises:
        RayDidNotStart: it did not come up.
    """
    port, dashboard, agent, agent_grpc, runtime_env = ports.ray[:5]
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head"),
        f"--node-ip-address={LOOPBACK}",
        f"--port={port}",
        f"--dashboard-port={dashboard}",
        f"--dashboard-agent-listen-port={agent}",
        f"--dashboard-agent-grpc-port={agent_grpc}",
        f"--runtime-env-agent-port={runtime_env}",
        f"--metrics-export-port={metrics_port}",
        "--min-worker-port=0",
        "--max-worker-port=0",
        f"--temp-dir={place.ray}",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        "--include-dashboard=false",
        "--include-log-monitor=false",
        "--no-monitor",
        "--disable-usage-stats",
    ]
    log = place.run / "ray-start.log"
    with log.open("wb") as out:
        try:
            code = subprocess.run(  # noqa: S603 - our own command
                command,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=START_TIMEOUT_S,
                check=False,
                cwd=place.run,
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
    if code != 0:
        message = f"Ray did not start (see {log}):\n" + log.read_text(errors="replace")[-2000:]
        raise RayDidNotStart(message)
    return f"{LOOPBACK}:{port}"
