"""The tables. Rows never leave `app.records`: what goes out are plain values.

Times are UTC. Identifiers sort by age (`app.db.ids`), so the primary key is also the order of every list.
"""

from __future__ import annotations

import uuid  # noqa: TC003 - SQLAlchemy reads the annotations at run time
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    Uuid,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SHA256_BYTES = 32
OBJECT_KEY_LENGTH = 200
#: What owners call their libraries and the people in them.
HANDLE_LENGTH = 128


class UtcDateTime(TypeDecorator[datetime]):
    """A moment. SQLite forgets time zones, so they are put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Store UTC; a time without a zone is a bug of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a time without a time zone cannot be stored"
            raise ValueError(message)
        return value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Give UTC back."""
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


class Table(DeclarativeBase):
    """What all tables share: names of constraints that migrations can rely on."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way to say it
        datetime: UtcDateTime(),
        # Not JSONB: nothing looks inside, and what is given back keeps the order it came in.
        dict[str, Any]: JSON(),
        bytes: LargeBinary(SHA256_BYTES),
        int: BigInteger(),
        float: Double(),
    }


class ApiKeyRow(Table):
    """A client's key; the key itself is known to the client alone."""

    __tablename__ = "api_keys"

    id: Mapped[uuid.UUID] = mapped_column(Uuid(), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    key_prefix: Mapped[str] = mapped_column(String(16))
    key_suffix: Mapped[str] = mapped_column(String(8))
    is_active: Mapped[bool] = mapped_column(default=True)
    plan: Mapped[str] = mapped_column(String(32))
    request_count: Mapped[int] = mapped_column(default=0)
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    # Signing needs the secret itself, so it cannot be a hash.
    webhook_secret: Mapped[str] = mapped_column(String(100))
    webhook_secret_previous: Mapped[str | None] = mapped_column(String(100))
    webhook_secret_previous_until: Mapped[datetime | None]


class AdminSessionRow(Table):
    """A browser that logged in; the cookie's value is known to the browser alone."""

    __tablename__ = "admin_sessions"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]


class OriginalRow(Table):
    """An uploaded picture's bytes, stored once however many images are made of them.

    `object_key` is never used again for other bytes or another time: an original that comes back after its
    removal gets a new key, so a late removal cannot hit the new one.
    """

    __tablename__ = "originals"

    content_hash: Mapped[bytes] = mapped_column(primary_key=True)
    object_key: Mapped[str] = mapped_column(String(OBJECT_KEY_LENGTH), unique=True)
    size_bytes: Mapped[int]
    image_count: Mapped[int]


class ImageRow(Table):
    """One upload."""

    __tablename__ = "images"

    id: Mapped[uuid.UUID] = mapped_column(Uuid(), primary_key=True)
    content_hash: Mapped[bytes] = mapped_column(ForeignKey("originals.content_hash"), index=True)
    format: Mapped[str] = mapped_column(String(16))
    width: Mapped[int]
    height: Mapped[int]
    size_bytes: Mapped[int]
    created_at: Mapped[datetime]
    # No foreign key: a key may be deleted while what it left stays.
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(Uuid())


class JobRow(Table):
    """What was done with an image."""

    __tablename__ = "jobs"

    id: Mapped[uuid.UUID] = mapped_column(Uuid(), primary_key=True)
    image_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), index=True)
    job_type: Mapped[str] = mapped_column(String(16))
    method: Mapped[str | None] = mapped_column(String(16))
    options: Mapped[dict[str, Any]]
    model: Mapped[str] = mapped_column(String(64))
    face_count: Mapped[int]
    payload: Mapped[dict[str, Any]]
    processed_key: Mapped[str | None] = mapped_column(String(OBJECT_KEY_LENGTH))
    processed_bytes: Mapped[int | None]
    inference_ms: Mapped[float]
    total_ms: Mapped[float]
    request_id: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(Uuid())

    __table_args__ = (
        Index("ix_jobs_job_type_id", "job_type", "id"),
        Index(
            "ix_jobs_method_id",
            "method",
            "id",
            sqlite_where=text("method IS NOT NULL"),
            postgresql_where=text("method IS NOT NULL"),
        ),
        Index(
            "ix_jobs_processed_key",
            "processed_key",
            sqlite_where=text("processed_key IS NOT NULL"),
            postgresql_where=text("processed_key IS NOT NULL"),
        ),
    )


class TallyRow(Table):
    """A running total, changed in the transaction that changes what it counts.

    Counting a million rows for each page of a list would cost more than the page.
    """

    __tablename__ = "tallies"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    amount: Mapped[int]


class CleanupTaskRow(Table):
    """An object whose rows are gone and that must go as well."""

    __tablename__ = "cleanup_tasks"

    object_key: Mapped[str] = mapped_column(String(OBJECT_KEY_LENGTH), primary_key=True)
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(String(300))
    next_try_at: Mapped[datetime] = mapped_column(index=True)
    created_at: Mapped[datetime]


class AuditRow(Table):
    """What an administrator did."""

    __tablename__ = "audit_log"

    id: Mapped[uuid.UUID] = mapped_column(Uuid(), primary_key=True)
    who: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(Text())
    address: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class TrafficRow(Table):
    """How much of something there was in a stretch of time, over all processes.

    Each process adds what it counted every few seconds. The same is counted in short stretches, for the last
    hours, and in long ones, for the last days: either way a plot is read from few rows.
    """

    __tablename__ = "traffic"

    span_s: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    amount: Mapped[int]
