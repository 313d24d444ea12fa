"""Deliveries as their receivers read them: first the signature, then the task."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.client.errors import UnreadableAnswer
from app.client.reading import read
from app.client.task_results import Task
from app.webhooks.signing import TOLERANCE_S, BadSignature, verify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BadSignature", "WebhookEvent", "read_webhook", "verify_webhook"]

verify_webhook = verify


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """What a delivery says: for example `task.succeeded`, and the task."""

    event: str
    task: Task


def read_webhook(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], tolerance_s: int = TOLERANCE_S
) -> WebhookEvent:
    """Return what a delivery says, once it is certain who says it.

    Args:
        headers: of the request; their names in any case.
        body: the raw bytes, as they came.
        secrets: those that are valid; two while one is being rotated.
        tolerance_s: how many seconds old, or ahead of our clock, a delivery may be.

    Raises:
        BadSignature: do not believe it.
        UnreadableAnswer: it is genuine, but no task.
    """
    verify(headers, body, secrets, tolerance_s)
    try:
        told = json.loads(body)
        event = str(told["event"])
    except (ValueError, KeyError, TypeError) as error:
        message = f"the delivery is no event: {error!r}"
        raise UnreadableAnswer(message) from error
    return WebhookEvent(event, read(Task, told))
