"""A whole service in a temporary home on a free port, for tests and benches; gone when the block ends."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import yaml

from app.settings import Settings
from cluster.environment import place_of
from cluster.local import CONFIG, clear_leftovers
from cluster.ports import free_ports
from cluster.processes import marked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UP_TIMEOUT_S = 240


class TrialFailed(Exception):
    """The service did not start; the text is what it printed."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A running service.

    Attributes:
        home: its folder.
        port: where it answers.
        key: a key that it accepts.
        admin_password: what `admin` logs in with.
        variables: the environment that its commands need.
        greeting: what the start printed.
    """

    home: Path
    port: int
    key: str
    admin_password: str
    variables: Mapping[str, str]
    greeting: str

    @property
    def url(self) -> str:
        """Tell where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def facefleet(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the service's own command line against it."""
        return run_facefleet(arguments, self.variables)

    def processes(self) -> list[psutil.Process]:
        """Return everything that runs for it."""
        return marked(str(self.home))

    def replicas(self, name: str = "") -> list[psutil.Process]:
        """Return the replicas of the deployment with this name, or of all."""
        return [each for each in self.processes() if f"ServeReplica:facefleet:{name}" in _title(each)]

    def memory_mb(self) -> float:
        """Return the memory of all its processes; what several share is counted once."""
        return sum(each.memory_full_info().pss for each in self.processes()) / 1e6


@contextmanager
def trial_service(
    args: Mapping[str, object] | None = None,
    variables: Mapping[str, str] | None = None,
    weights: Path | None = None,
) -> Iterator[Trial]:
    """Start a service and yield it.

    Args:
        args: what differs from the `args` of `serve_config.yaml`.
        variables: more of its environment.
        weights: a folder with installed weights to use instead of fetching them.
    """
    home = Path(tempfile.mkdtemp(prefix="facefleet-trial-")).resolve()
    (port,) = free_ports(1)
    key, admin_password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    config = yaml.safe_load(CONFIG.read_text())
    config["applications"][0]["args"] |= args or {}
    (home / "serve_config.yaml").write_text(yaml.safe_dump(config))
    if weights is not None:
        (home / "models").symlink_to(weights.resolve())
    environment = {
        "FACE_API_HOME": str(home),
        "FACE_API_PORT": str(port),
        "FACE_API_BOOTSTRAP_KEY": key,
        "FACE_API_ADMIN_PASSWORD": admin_password,
        # Tests and benches ask more often than a client may, unless they are about that.
        "FACE_API_DETECT_RATE_LIMIT": "off",
        "FACE_API_MASK_RATE_LIMIT": "off",
        **(variables or {}),
    }
    try:
        up = run_facefleet(("up", "--config", str(home / "serve_config.yaml")), environment)
        if up.returncode != 0:
            raise TrialFailed(up.stdout + up.stderr + _last_words(home / "run" / "failed-start"))
        yield Trial(home, port, key, admin_password, environment, up.stdout)
    finally:
        _end(home)


def _end(home: Path) -> None:
    """End it without waiting for what it may be doing; `down` would."""
    place = place_of(Settings(home=home))
    clear_leftovers(place)
    for folder in (place.scratch, home):
        shutil.rmtree(folder, ignore_errors=True)


def run_facefleet(
    arguments: tuple[str, ...], variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "cluster", *arguments],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=UP_TIMEOUT_S,
        check=False,
    )


def _last_words(logs: Path) -> str:
    return "".join(f"\n--- {log.name}\n{log.read_text()[-3000:]}" for log in sorted(logs.glob("*.log")))


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
