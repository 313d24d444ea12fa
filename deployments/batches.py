"""What a pool tells of a batch: how large it was, how long it took, and for which requests it ran."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from pipelines.metrics import BATCH_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

log = structlog.get_logger(__name__)


@contextmanager
def logged_batch(pool: str, request_ids: Sequence[str | None]) -> Iterator[None]:
    """Count a batch, and write a line about it that is found by the id of each of its requests.

    Args:
        pool: whose it is.
        request_ids: of those who asked; a video's frames all have that of their task.
    """
    BATCH_SIZE.note(len(request_ids), pool)
    begun = time.perf_counter()
    try:
        yield
    finally:
        ids = list(dict.fromkeys(filter(None, request_ids)))
        took_ms = round((time.perf_counter() - begun) * 1e3, 1)
        log.info("batch", pool=pool, size=len(request_ids), ms=took_ms, request_ids=ids)
