"""The shapes of everybody's tasks."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID  # noqa: TC003 - as above

from pydantic import Field

from app.schemas import Shape
from app.tasks.rows import stored_options
from app.tasks.values import task_text

if TYPE_CHECKING:
    from app.tasks.deliveries import DeliveryRecord
    from app.tasks.values import Task


class TaskResponse(Shape):
    """A task; what stands behind a `?` in its addresses is left out, for it may open a door."""

    task_id: str
    api_key_id: UUID = Field(description="Whose it is; all zeros where no keys are asked for.")
    status: str
    type: str
    media_url: str
    progress: float
    estimated_seconds: int
    options: dict[str, Any]
    media: dict[str, Any] | None
    summary: dict[str, Any] | None
    metadata: dict[str, Any] | None
    callback_url: str | None
    error: dict[str, str] | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class AttemptResponse(Shape):
    """One try to tell a client's server; `status` is null where none was answered."""

    number: int
    at: datetime
    status: int | None
    error: str | None
    ms: float


class DeliveryResponse(Shape):
    """Something that a client's server is to be told, with every try; `next_try_at` while more will come."""

    id: UUID
    event: str
    state: str
    created_at: datetime
    next_try_at: datetime | None
    attempts: list[AttemptResponse]


class TaskDetailResponse(TaskResponse):
    """A task with its webhooks."""

    deliveries: list[DeliveryResponse]


class TaskListResponse(Shape):
    """Tasks, newest first; `next_before` asks for those that come after them."""

    items: list[TaskResponse]
    next_before: str | None


def told_task(task: Task) -> TaskResponse:
    """Return a task as administrators see it."""
    media, failure = task.media, task.failure
    return TaskResponse(
        task_id=task_text(task.id),
        api_key_id=task.owner,
        status=task.status.value,
        type=task.type.value,
        media_url=without_query(task.media_url),
        progress=round(task.progress, 3),
        estimated_seconds=task.estimated_s,
        options=stored_options(task.options),
        media=None
        if media is None
        else {"width": media.width, "height": media.height, "duration": media.duration},
        summary=None if task.summary is None else dict(task.summary),
        metadata=task.metadata,
        callback_url=None if task.callback_url is None else without_query(task.callback_url),
        error=None if failure is None else {"code": failure.code, "message": failure.message},
        created_at=task.created_at,
        started_at=task.started_at,
        completed_at=task.completed_at,
    )


def told_delivery(record: DeliveryRecord) -> DeliveryResponse:
    """Return a delivery as administrators see it."""
    return DeliveryResponse(
        id=record.id,
        event=record.event,
        state=record.state,
        created_at=record.created_at,
        next_try_at=record.next_try_at,
        attempts=[AttemptResponse.model_validate(each, from_attributes=True) for each in record.attempts],
    )


def without_query(url: str) -> str:
    """Return an address without what may be a secret in it: a password, a signature."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "?"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")
