"""Requests as they are counted for the operator: by kind, which is never more than a handful."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pipelines.metrics import REQUEST_SECONDS, REQUESTS

#: What a route counts as, by how its path begins; the first that fits.
KINDS: Final = (
    ("/api/v1/detect", "detect"),
    ("/api/v1/mask", "mask"),
    ("/api/v1/admin", "admin"),
    ("/v1/librar", "libraries"),
    ("/v1/compare", "compare"),
    ("/v1/upload", "uploads"),
    ("/v1/", "tasks"),
    ("/health", "health"),
)
OTHER: Final = "other"


def count_request(route: str, status: int, took_ms: float) -> None:
    """Count a request to this route that was answered now."""
    kind = metric_kind(route)
    REQUESTS.add(1, kind, str(status))
    REQUEST_SECONDS.note(took_ms / 1e3, kind)


@lru_cache(maxsize=1024)
def metric_kind(route: str) -> str:
    """Return what requests to a route count as."""
    return next((kind for beginning, kind in KINDS if route.startswith(beginning)), OTHER)
