"""Requests to be kept, as the doors would hand them over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from app.records.values import NewImage, NewJob

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from app.storage.spooled import SpooledStore


def image(data: bytes = b"a picture") -> NewImage:
    """Return an upload."""
    return NewImage(data=data, format="jpeg", width=640, height=480)


def detect(faces: int = 2) -> NewJob:
    """Return what a detection leaves."""
    return NewJob(
        job_type="detect",
        options={"confidence": 0.5, "max_faces": 0},
        model="yunet",
        face_count=faces,
        payload={"detections": [{"index": number} for number in range(faces)], "summary": {"z": 1, "a": 2}},
        inference_ms=1.5,
        total_ms=2.5,
        request_id="request-1",
    )


def mask(processed: bytes = b"a masked picture", method: str = "gaussian") -> NewJob:
    """Return what a mask leaves."""
    return NewJob(
        job_type="mask",
        method=method,
        options={"strength": 199},
        model="yunet",
        face_count=1,
        payload={"detections": [{"index": 0}]},
        inference_ms=1.5,
        total_ms=2.5,
        request_id="request-2",
        processed=processed,
        processed_format="webp",
    )


async def read(store: SpooledStore, key: str) -> bytes:
    """Return an object's bytes."""
    return b"".join([piece async for piece in store.get(key)])


async def until(true: Callable[[], Awaitable[bool]], timeout_s: float = 10.0) -> None:
    """Wait until something is true."""

    async def wait() -> None:
        while not await true():  # noqa: ASYNC110 - what is waited for happens elsewhere and gives no sign
            await asyncio.sleep(0.05)

    await asyncio.wait_for(wait(), timeout_s)
