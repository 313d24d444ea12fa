"""What the tests of tasks ask of a running service."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from cluster.trial import Trial

OPEN = {"queued", "running"}


@dataclass(frozen=True)
class TaskClient:
    """Speaks door two; a service that restarts is asked again."""

    service: Trial

    def create(self, **fields: Any) -> str:  # noqa: ANN401 - JSON
        """Submit a task and return its id."""
        answer = self.ask("POST", "/v1/create-detection-task", fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["task_id"])

    def get(self, task_id: str) -> dict[str, Any]:
        """Return a task as it is now."""
        return dict(self.ask("GET", f"/v1/task/{task_id}").json())

    def wait(self, task_id: str, timeout_s: float = 90.0) -> dict[str, Any]:
        """Return a task once it has ended."""
        deadline = time.monotonic() + timeout_s
        while (task := self.get(task_id))["status"] in OPEN:
            assert time.monotonic() < deadline, task
            time.sleep(0.1)
        return task

    def until_begun(self, task_id: str, progress: float = 0.0) -> None:
        """Return once a task is in work, and that much of it is done."""
        deadline = time.monotonic() + 60
        while True:
            task = self.get(task_id)
            assert task["status"] in OPEN, task
            if task["status"] == "running" and task["progress"] > progress:
                return
            assert time.monotonic() < deadline, task
            time.sleep(0.05)

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Send a request, again while nobody answers."""
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = httpx.request(
                    method,
                    self.service.url + path,
                    json=body,
                    headers={"X-API-Key": self.service.key},
                    timeout=30,
                    trust_env=False,
                )
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise
            else:
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                    return answer
            time.sleep(0.2)
