"""`bulk run --local`: a service that comes and goes with the job, and outlives its kill."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.processes import marked

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("start and stop")]
ROOT = Path(__file__).parents[2]


def test_a_job_brings_its_own_service(tmp_path: Path, weights_folder: Path, portrait_path: Path) -> None:
    """A job that is killed leaves its service running; the same command takes it over and ends it."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(weights_folder.resolve())
    for number in range(6):
        shutil.copy(portrait_path, tmp_path / f"{number}.png")
    command = [sys.executable, "-m", "cluster", "bulk", "run", "*.png", "--out", "out", "--local", "--json"]
    variables = {**os.environ, "FACE_API_HOME": str(home), "PYTHONPATH": str(ROOT)}
    first = subprocess.Popen(
        [*command, "--concurrency", "1"], cwd=tmp_path, env=variables, stderr=subprocess.DEVNULL
    )
    journal = tmp_path / "out" / "journal.jsonl"
    deadline = time.monotonic() + 200
    while first.poll() is None and not (journal.exists() and journal.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.kill()
    first.wait()
    service = str((tmp_path / "out" / ".service").resolve())
    assert marked(service)
    second = subprocess.run(
        command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=240, check=False
    )
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout)["succeeded"] == 6
    assert marked(service) == []
    assert not (tmp_path / "out" / ".service").exists()
