"""A crowd of clients: each sends picture after picture, each on a connection of its own."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster.trial import Trial


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: when it came, how long it took, and what it was."""

    at: float
    took: float
    status: int
    retry_after: str | None
    text: str


@dataclass(slots=True)
class Crowd:
    """What the clients have got so far; `errors` are requests without an answer."""

    replies: list[Reply] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def statuses(self) -> set[int]:
        """Return which statuses there were."""
        return {reply.status for reply in self.replies}

    def well_since(self, moment: float) -> float:
        """Return how many seconds after the moment the last request failed; 0 if none did."""
        failed = [reply.at for reply in self.replies if reply.status != httpx.codes.OK]
        return max((at - moment for at in failed), default=0.0)


@contextmanager
def crowd(service: Trial, picture: bytes, clients: int = 6, path: str = "/api/v1/detect") -> Iterator[Crowd]:
    """Have clients at work while the block runs; those that are shed wait a little, as they are told."""
    seen, over = Crowd(), threading.Event()

    def ask() -> None:
        while not over.is_set():
            start = time.monotonic()
            try:
                answer = httpx.post(
                    service.url + path,
                    headers={"X-API-Key": service.key, "Connection": "close"},
                    files={"image": picture},
                    timeout=60,
                    trust_env=False,
                )
            except httpx.HTTPError as error:
                seen.errors.append(repr(error))
                continue
            end = time.monotonic()
            retry_after = answer.headers.get("retry-after")
            text = "" if answer.is_success else answer.text
            seen.replies.append(Reply(end, end - start, answer.status_code, retry_after, text))
            if not answer.is_success:
                time.sleep(0.2)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()
