"""Tasks over HTTP, for benches: create one, wait for its end, hear its webhook."""

from __future__ import annotations

import http.server
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster.trial import Trial

#: A plan without limits, and media from this machine.
UNBOUNDED = {
    "FACE_API_FETCH_ALLOW": "127.0.0.1",
    "FACE_API_PLANS": json.dumps(
        {"free": {"requests_per_minute": 1_000_000, "concurrent_tasks": 64, "monthly_minutes": 10_000_000}}
    ),
}
LONGEST_S = 1800.0


@dataclass(frozen=True, slots=True)
class Tasks:
    """A client of a service's tasks."""

    http: httpx.Client

    def create(self, **fields: Any) -> str:  # noqa: ANN401 - JSON
        """Submit a task and return its id."""
        answer = self.http.post("/v1/create-detection-task", json=fields)
        answer.raise_for_status()
        return str(answer.json()["task_id"])

    def finish(self, task_id: str, every_s: float = 0.05) -> dict[str, Any]:
        """Return a task once it has ended well.

        Raises:
            RuntimeError: it ended otherwise, or not at all.
        """
        deadline = time.monotonic() + LONGEST_S
        while time.monotonic() < deadline:
            task: dict[str, Any] = self.http.get(f"/v1/task/{task_id}").json()
            if task["status"] == "succeeded":
                return task
            if task["status"] not in {"queued", "running"}:
                break
            time.sleep(every_s)
        message = f"the task did not succeed: {task.get('error')}"
        raise RuntimeError(message)


@contextmanager
def tasks_of(service: Trial) -> Iterator[Tasks]:
    """Open a client."""
    with httpx.Client(
        base_url=service.url, headers={"X-API-Key": service.key}, timeout=120, trust_env=False
    ) as client:
        yield Tasks(client)


@dataclass
class Hearer:
    """Where webhooks arrive, when each task's did first, and under which ids they came."""

    url: str = ""
    at: dict[str, float] = field(default_factory=dict)
    ids: set[tuple[str, str]] = field(default_factory=set)


@contextmanager
def hearing() -> Iterator[Hearer]:
    """Hear webhooks on this machine."""
    hearer = Hearer()

    class Handler(http.server.BaseHTTPRequestHandler):
        """Notes the time."""

        def do_POST(self) -> None:
            """Take a webhook."""
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hearer.at.setdefault(body["task_id"], time.time())
            hearer.ids.add((body["task_id"], self.headers["webhook-id"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class
            """Keep quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hearer.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hearer
    finally:
        server.shutdown()
        server.server_close()
