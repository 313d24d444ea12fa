"""The shape of the overview."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from uuid import UUID  # noqa: TC003 - as above

from pydantic import Field

from app.schemas import Shape


class StretchResponse(Shape):
    """What happened in a stretch of time; `queued` and `running` are the tasks at its end."""

    at: datetime
    requests: dict[str, int] = Field(description="Answered requests: detect, mask, tasks (all of door two).")
    faces: int
    refused: int = Field(description="Answers that say that the caller is at fault, 4xx.")
    failed: int = Field(description="Answers that say that the service is at fault, 5xx.")
    latency_ms: dict[str, float | None] = Field(description="p50, p95, p99 of detections and masks.")
    queued: int
    running: int


class TasksNow(Shape):
    """Tasks that are not done."""

    queued: int
    running: int


class KeyMinutes(Shape):
    """How much media was analysed for a key this month; its name is null where the key was deleted."""

    api_key_id: UUID
    name: str | None
    minutes: float


class DeploymentResponse(Shape):
    """How many replicas of a deployment there are, and should be."""

    name: str
    running: int
    wanted: int
    status: str
    message: str


class OverviewResponse(Shape):
    """How the service is and was; stretches without any request are told as well."""

    window: str
    step_s: int
    stretches: list[StretchResponse]
    latency_ms: dict[str, float | None]
    tasks_by_status: dict[str, int]
    tasks_now: TasksNow
    month: str
    minutes_by_key: list[KeyMinutes]
    deployments: list[DeploymentResponse]
