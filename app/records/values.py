"""Plain values that go in and come out; rows stay inside this room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping
    from datetime import datetime

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewImage:
    """An upload to be kept."""

    data: bytes
    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class NewJob:
    """What was done with it.

    Attributes:
        job_type: `detect` or `mask`.
        method: of a mask.
        options: all that the caller chose.
        payload: the answer's detections, summary, processing and profiling.
        processed: the masked picture, encoded as `processed_format`.
    """

    job_type: str
    options: Mapping[str, Any]
    model: str
    face_count: int
    payload: Mapping[str, Any]
    inference_ms: float
    total_ms: float
    request_id: str
    method: str | None = None
    processed: bytes | None = None
    processed_format: str | None = None
    api_key_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """Under which identifiers a request was kept, and how long the answer waited for that."""

    image_id: uuid.UUID
    job_id: uuid.UUID
    storage_ms: float


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An upload that was kept; `processed_key` names the newest picture that was made of it."""

    id: uuid.UUID
    content_hash: str
    original_key: str
    processed_key: str | None
    format: str
    width: int
    height: int
    size_bytes: int
    job_count: int
    created_at: datetime
    api_key_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job, without its detections."""

    id: uuid.UUID
    image_id: uuid.UUID
    job_type: str
    method: str | None
    options: Mapping[str, Any]
    model: str
    face_count: int
    processed_key: str | None
    processed_bytes: int | None
    inference_ms: float
    total_ms: float
    request_id: str
    created_at: datetime
    api_key_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job with the answer it gave."""

    job: StoredJob
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ImageDetail:
    """An image with its jobs, newest first."""

    image: StoredImage
    jobs: tuple[StoredJob, ...]


@dataclass(frozen=True, slots=True)
class Stats:
    """Totals over everything that is kept.

    Attributes:
        image_bytes: as uploaded; identical uploads count each.
        original_bytes: as stored; identical uploads count once.
        cleanup_pending: objects that are still to be removed.
    """

    images: int
    jobs: int
    faces: int
    image_bytes: int
    original_bytes: int
    processed_bytes: int
    jobs_by_type: Mapping[str, int]
    jobs_by_method: Mapping[str, int]
    cleanup_pending: int


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of many."""

    items: tuple[T, ...]
    total: int
    page: int
    per_page: int

    @property
    def pages(self) -> int:
        """Tell how many pages there are; an empty list has one, which is empty."""
        return max(1, -(-self.total // self.per_page))


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, for the audit log."""

    who: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that was done."""

    id: uuid.UUID
    at: datetime
    who: str
    action: str
    subject: str
    address: str | None
    detail: Mapping[str, Any]
