"""The web app over the fake engine as a process of its own, on a real port."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@dataclass
class Server:
    """The service as a process."""

    port: int
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def url(self) -> str:
        """Return where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def memory(self) -> int:
        """Return how many bytes it occupies."""
        size: int = psutil.Process(self.process.pid).memory_info().rss
        return size

    def lines(self) -> list[dict[str, object]]:
        """Return what it logged so far."""
        return [json.loads(line) for line in self.output.read_text().splitlines()]

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """Open a bare connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as opened:
            yield opened

    def is_well(self) -> bool:
        """Tell whether it goes on answering."""
        return httpx.get(f"{self.url}/health").status_code == 200 and self.process.poll() is None


@contextmanager
def live_server(home: Path, **variables: str) -> Iterator[Server]:
    """Start the service in this home, and end it afterwards."""
    environment = {**os.environ, "FACE_API_HOME": str(home), **variables}
    output = home / "output"
    with socket.socket() as listener, output.open("ab") as sink:
        listener.bind(("127.0.0.1", 0))
        listener.listen(256)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.server", str(listener.fileno())],
            cwd=ROOT,
            env=environment,
            stdout=sink,
            stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()],
        )
        made = Server(listener.getsockname()[1], process, output)
        try:
            # The socket listens already: the first request waits until somebody accepts it.
            httpx.get(f"{made.url}/health", timeout=60, trust_env=False)
            yield made
        finally:
            process.terminate()
            process.wait(timeout=30)
