"""Facefleet from Python: `Client`, `AsyncClient`, and what they answer.

    calls (what to send, how to read it) -> Client or AsyncClient (sends, waits, tries again) -> results

Both clients share every call; they differ only in how they send.
"""

from app.client.async_client import AsyncClient
from app.client.call import Connection
from app.client.errors import (
    ApiError,
    ClientError,
    Conflict,
    Forbidden,
    NotFound,
    RateLimited,
    Refused,
    ServerFault,
    Unauthorized,
    Unavailable,
    Unreachable,
    WaitedTooLong,
)
from app.client.results import Attributes, DetectResult, Health, MaskedPicture
from app.client.retrying import RetryPolicy
from app.client.sync_client import Client
from app.client.task_results import CreatedTask, Frame, Task, TaskResult, Upload
from app.client.webhooks import BadSignature, WebhookEvent, read_webhook, verify_webhook

__all__ = [
    "ApiError",
    "AsyncClient",
    "Attributes",
    "BadSignature",
    "Client",
    "ClientError",
    "Conflict",
    "Connection",
    "CreatedTask",
    "DetectResult",
    "Forbidden",
    "Frame",
    "Health",
    "MaskedPicture",
    "NotFound",
    "RateLimited",
    "Refused",
    "RetryPolicy",
    "ServerFault",
    "Task",
    "TaskResult",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "Upload",
    "WaitedTooLong",
    "WebhookEvent",
    "read_webhook",
    "verify_webhook",
]
