"""The tables of asynchronous tasks: the queue, what came of each task, and who is to be told.

A task is owned by a key. `fence` counts how often a runner took the task up: who holds an older number may
not write any more. `beat` is raised by the living runner; where it stands still the runner is lost, which
every other runner sees by its own clock, so that no change of any machine's time looks like a death.

Results lie in rows of bounded size, many for a long video. They go with their task.
"""

from __future__ import annotations

import uuid  # noqa: TC003 - SQLAlchemy reads the annotations at run time
from datetime import datetime  # noqa: TC003 - as above
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text, Uuid, false, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables import HANDLE_LENGTH, OBJECT_KEY_LENGTH, Table

STATUS_LENGTH = 16
RUNNER_LENGTH = 100
ERROR_LENGTH = 500
REQUEST_ID_LENGTH = 128
IDEMPOTENCY_KEY_LENGTH = 255


class TaskRow(Table):
    """One task, from its creation to its deletion."""

    __tablename__ = "tasks"

    id: Mapped[uuid.UUID] = mapped_column(Uuid(), primary_key=True)
    # No foreign key: a key may be deleted while its tasks stay.
    owner: Mapped[uuid.UUID] = mapped_column(Uuid())
    status: Mapped[str] = mapped_column(String(STATUS_LENGTH))
    type: Mapped[str] = mapped_column(String(STATUS_LENGTH))
    media_url: Mapped[str] = mapped_column(Text())
    options: Mapped[dict[str, Any]]
    callback_url: Mapped[str | None] = mapped_column(Text())
    # The name `metadata` is SQLAlchemy's own.
    note: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSON(none_as_null=True))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    estimated_s: Mapped[int]
    progress: Mapped[float] = mapped_column(default=0.0)
    fence: Mapped[int] = mapped_column(default=0)
    beat: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0)
    runner: Mapped[str | None] = mapped_column(String(RUNNER_LENGTH))
    media: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    # What was probed, so that chunks of a file that has changed meanwhile are not mixed.
    media_digest: Mapped[str | None] = mapped_column(String(64))
    summary: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    page_count: Mapped[int] = mapped_column(default=0)
    error_code: Mapped[str | None] = mapped_column(String(64))
    # What its creation goes by in logs, here and at the caller's; null in tasks of older versions.
    request_id: Mapped[str | None] = mapped_column(String(REQUEST_ID_LENGTH))
    error_message: Mapped[str | None] = mapped_column(String(ERROR_LENGTH))

    __table_args__ = (
        Index("ix_tasks_owner_id", "owner", "id"),
        # Few tasks are open at any time: the queue stays small however many are done.
        Index(
            "ix_tasks_open",
            "status",
            "owner",
            "id",
            sqlite_where=text("status IN ('queued', 'running')"),
            postgresql_where=text("status IN ('queued', 'running')"),
        ),
    )


class TaskChunkRow(Table):
    """A part of a task's media; what came of it, once it is done, until the whole is merged."""

    __tablename__ = "task_chunks"

    task_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    plan: Mapped[dict[str, Any]]
    # How much of the media it is.
    media_s: Mapped[float]
    tries: Mapped[int] = mapped_column(default=0)
    is_done: Mapped[bool] = mapped_column(default=False)
    outcome: Mapped[bytes | None] = mapped_column(LargeBinary())


class TaskPageRow(Table):
    """A run of a result's frames or tracks, packed."""

    __tablename__ = "task_pages"

    task_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    part: Mapped[str] = mapped_column(String(STATUS_LENGTH), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    entry_count: Mapped[int]
    packed: Mapped[bytes] = mapped_column(LargeBinary())
    json_bytes: Mapped[int]


class TaskObjectRow(Table):
    """An object that a task made: parts on the way, and in the end the one that is its result."""

    __tablename__ = "task_objects"

    object_key: Mapped[str] = mapped_column(String(OBJECT_KEY_LENGTH), primary_key=True)
    task_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    size_bytes: Mapped[int]


class TaskMentionRow(Table):
    """Somebody whom a task's result names, for the day on which they are to be taken out of it."""

    __tablename__ = "task_mentions"

    task_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    person: Mapped[str] = mapped_column(String(HANDLE_LENGTH), primary_key=True)
    owner: Mapped[uuid.UUID] = mapped_column(Uuid())
    library: Mapped[str] = mapped_column(String(HANDLE_LENGTH))
    # That day has come, and this result has not been rewritten yet.
    is_leaving: Mapped[bool] = mapped_column(default=False, server_default=false())

    __table_args__ = (
        Index("ix_task_mentions_owner_library_person", "owner", "library", "person"),
        Index(
            "ix_task_mentions_leaving",
            "owner",
            "task_id",
            sqlite_where=text("is_leaving"),
            postgresql_where=text("is_leaving"),
        ),
    )


class TaskTurnRow(Table):
    """When an owner was served last, as a number that only grows."""

    __tablename__ = "task_turns"

    owner: Mapped[uuid.UUID] = mapped_column(Uuid(), primary_key=True)
    turn: Mapped[int]


class MinutesUsedRow(Table):
    """How much media was analysed for an owner in a month."""

    __tablename__ = "minutes_used"

    owner: Mapped[uuid.UUID] = mapped_column(Uuid(), primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    media_s: Mapped[float]


class IdempotencyRow(Table):
    """The first answer to a request that may be sent again."""

    __tablename__ = "idempotency_keys"

    owner: Mapped[uuid.UUID] = mapped_column(Uuid(), primary_key=True)
    key: Mapped[str] = mapped_column(String(IDEMPOTENCY_KEY_LENGTH), primary_key=True)
    body_hash: Mapped[bytes]
    answer: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)


class WebhookDeliveryRow(Table):
    """Something that a client's server is to be told. Its identifier is the `webhook-id` of every attempt."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[uuid.UUID] = mapped_column(Uuid(), primary_key=True)
    task_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    event: Mapped[str] = mapped_column(String(64))
    url: Mapped[str] = mapped_column(Text())
    state: Mapped[str] = mapped_column(String(STATUS_LENGTH))
    # Attempts since the first or since the last replay: they decide how long the next one waits.
    attempts: Mapped[int] = mapped_column(default=0)
    attempt_total: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime]
    next_try_at: Mapped[datetime]
    # When `next_try_at` was set: in the future, the clock was turned back since.
    scheduled_at: Mapped[datetime]
    claim: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]

    __table_args__ = (
        Index(
            "ix_webhook_deliveries_due",
            "next_try_at",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
    )


class WebhookAttemptRow(Table):
    """One try to tell it."""

    __tablename__ = "webhook_attempts"

    delivery_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(String(ERROR_LENGTH))
    ms: Mapped[float]


class UploadRow(Table):
    """A file that a client sends in parts."""

    __tablename__ = "uploads"

    id: Mapped[uuid.UUID] = mapped_column(Uuid(), primary_key=True)
    owner: Mapped[uuid.UUID] = mapped_column(Uuid())
    filename: Mapped[str] = mapped_column(String(255))
    size_bytes: Mapped[int]
    part_bytes: Mapped[int]
    # Where S3 takes the parts itself: its name for this upload, and where the whole will be.
    multipart_id: Mapped[str | None] = mapped_column(Text())
    object_key: Mapped[str | None] = mapped_column(String(OBJECT_KEY_LENGTH))
    is_complete: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class UploadPartRow(Table):
    """A part that arrived here."""

    __tablename__ = "upload_parts"

    upload_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    object_key: Mapped[str] = mapped_column(String(OBJECT_KEY_LENGTH))
    size_bytes: Mapped[int]


class ServiceSecretRow(Table):
    """A secret that all replicas on all machines must share."""

    __tablename__ = "service_secrets"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    secret: Mapped[bytes]
