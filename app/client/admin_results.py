"""What administrators are answered."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read by the JSON reader
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - read by the JSON reader
from typing import Any


@dataclass(frozen=True, slots=True)
class AdminSession:
    """Who is logged in."""

    authenticated: bool
    username: str


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What may be shown of a key."""

    id: str
    name: str
    key_preview: str
    is_active: bool
    request_count: int
    created_at: datetime
    plan: str | None = None
    key_prefix: str | None = None
    key_suffix: str | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CreatedApiKey:
    """A new key with its secrets, which are shown this once."""

    id: str
    name: str
    key_preview: str
    key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    plan: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """A new secret, shown this once."""

    webhook_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiKeyPage:
    """Keys, newest first."""

    items: tuple[ApiKey, ...]
    total: int
    page: int
    per_page: int
    pages: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Totals over all that is kept."""

    total_images: int
    total_jobs: int
    total_faces: int
    jobs_by_type: Mapping[str, int]
    jobs_by_method: Mapping[str, int]
    image_bytes: int = 0
    original_bytes: int = 0
    processed_bytes: int = 0
    cleanup_pending: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """What was done with a picture; `payload` is there where one job was asked for."""

    id: str
    image_id: str
    job_type: str
    model: str
    face_count: int
    created_at: datetime
    method: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    processed_url: str | None = field(default=None, repr=False)
    processed_bytes: int | None = None
    inference_ms: float | None = None
    total_ms: float | None = None
    request_id: str | None = None
    api_key_id: str | None = None
    payload: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A picture that is kept; `jobs` are there where one picture was asked for."""

    id: str
    format: str
    width: int
    height: int
    size_bytes: int
    job_count: int
    created_at: datetime
    original_url: str = field(repr=False)
    processed_url: str | None = field(default=None, repr=False)
    content_hash: str | None = None
    api_key_id: str | None = None
    jobs: tuple[Job, ...] = ()


@dataclass(frozen=True, slots=True)
class ImagePage:
    """Pictures, newest first."""

    items: tuple[StoredImage, ...]
    total: int
    page: int
    per_page: int
    pages: int


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs, newest first."""

    items: tuple[Job, ...]
    total: int
    page: int
    per_page: int
    pages: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that an administrator did, or was refused."""

    id: str
    at: datetime
    who: str
    action: str
    subject: str
    address: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, newest first."""

    items: tuple[AuditEntry, ...]
    next_before: str | None = None
