"""Clients that send picture after picture, each on a connection of its own, and remember what came of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from cluster.trial import Trial


class Clients:
    """Send pictures while they are told to.

    Args:
        service: whom to ask.
        picture: what to send.
        count: how many there are.
        pause_s: how long each rests after an answer.
    """

    def __init__(self, service: Trial, picture: bytes, count: int, pause_s: float = 0.0) -> None:
        self._service, self._picture, self._pause_s = service, picture, pause_s
        self._busy, self._over = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]
        #: When answers came, and their status.
        self.replies: list[tuple[float, int]] = []
        #: When requests ended without an answer.
        self.lost: list[float] = []

    def start(self) -> None:
        """Begin to wait for `go_on`."""
        for thread in self._threads:
            thread.start()

    def go_on(self) -> None:
        """Send."""
        self._busy.set()

    def pause(self) -> None:
        """Send no more for now."""
        self._busy.clear()

    def stop(self) -> None:
        """End."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def statuses(self, since: float = 0.0) -> dict[int, int]:
        """Return how many answers of each status there were since a moment."""
        return dict(Counter(status for at, status in list(self.replies) if at >= since))

    def last_bad(self, since: float) -> float | None:
        """Return when the last request since a moment went wrong; None if none did."""
        bad = [at for at, status in list(self.replies) if at >= since and status != httpx.codes.OK]
        return max([*bad, *(at for at in list(self.lost) if at >= since)], default=None)

    def _ask(self) -> None:
        headers = {"X-API-Key": self._service.key, "Connection": "close"}
        with httpx.Client(timeout=60, trust_env=False, headers=headers) as client:
            while not self._over.is_set():
                if not self._busy.wait(0.2):
                    continue
                try:
                    answer = client.post(f"{self._service.url}/api/v1/detect", files={"image": self._picture})
                except httpx.HTTPError:
                    self.lost.append(time.monotonic())
                    time.sleep(0.2)
                    continue
                self.replies.append((time.monotonic(), answer.status_code))
                if self._pause_s or not answer.is_success:
                    time.sleep(max(self._pause_s, 0.0 if answer.is_success else 0.2))
