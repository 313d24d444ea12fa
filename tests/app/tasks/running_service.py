"""Starts door two as a process, for tests that speak to it over HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "the-key-of-this-test"
SECRET = "whsec_c2VjcmV0IG9mIHRoaXMgdGVzdA=="  # noqa: S105 - a test's
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class RunningService:
    """Where it answers, and which process it is."""

    url: str
    pid: int


@contextmanager
def running_service(
    home: Path, module: str = "tests.app.tasks.service", **settings: str
) -> Iterator[RunningService]:
    """Start the service, give its address, and end it afterwards.

    Args:
        home: its folder.
        module: that serves on the socket whose number it is given.
        settings: of the service.
    """
    environment = {
        **os.environ,
        "FACE_API_HOME": str(home),
        "FACE_API_BOOTSTRAP_KEY": KEY,
        "FACE_API_BOOTSTRAP_WEBHOOK_SECRET": SECRET,
        "FACE_API_ADMIN_PASSWORD": "correct horse",
        "FACE_API_FETCH_ALLOW": "127.0.0.1",
        **settings,
    }
    with socket.create_server(("127.0.0.1", 0)) as listening, (home / "log").open("w") as log:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(listening.fileno())],
            env=environment,
            cwd=ROOT,
            pass_fds=[listening.fileno()],
            stdout=log,
            stderr=log,
        )
        try:
            _wait_until_well(url, process, home / "log")
            yield RunningService(url, process.pid)
        finally:
            process.terminate()
            process.wait(20)


def _wait_until_well(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=1).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())
