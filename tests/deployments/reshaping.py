"""Gives a running service another shape: `python -m tests.deployments.reshaping CONFIG`, in its environment.

Ray and Serve read the environment when they are imported, so each of these is a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from app.settings import load_settings
from cluster.environment import environment, place_of
from cluster.local import CONFIG, deploy, read_config, read_state
from cluster.ports import ports_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster.local import Running
    from cluster.trial import Trial

PATIENCE_S = 240


def reshape(service: Trial, args: Mapping[str, Any]) -> None:
    """Deploy the service anew with these arguments over those of `serve_config.yaml`."""
    config = yaml.safe_load(CONFIG.read_text())
    config["applications"][0]["args"] |= args
    file = service.home / "other.yaml"
    file.write_text(yaml.safe_dump(config))
    run_inside(service, "tests.deployments.reshaping", str(file))


def run_inside(service: Trial, module: str, *arguments: str) -> Any:  # noqa: ANN401 - what the module prints
    """Run a module in the environment of the service and return the JSON on its last line, if any."""
    ran = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **service.variables, "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    return json.loads(ran.stdout.splitlines()[-1]) if ran.stdout.strip() else None


def enter() -> Running:
    """Take over the environment of the running service and return what is known of it."""
    settings = load_settings()
    place = place_of(settings)
    os.environ.update(environment(settings, place, ports_for(place.home)))
    running = read_state(place)
    assert running is not None
    return running


if __name__ == "__main__":
    deploy(enter(), read_config(Path(sys.argv[1]), load_settings()))
