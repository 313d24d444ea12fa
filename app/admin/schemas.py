"""The shapes of the admin API."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID  # noqa: TC003 - as above

from pydantic import Field, StringConstraints

from app.schemas import DetectResponse, Shape

T = TypeVar("T")

# Control characters have no business in a name, and PostgreSQL keeps no NUL.
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^\P{Cc}+$")
]
Plan = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class LoginRequest(Shape):
    """Who wants to log in."""

    username: str = Field(max_length=200)
    password: str = Field(max_length=1024)


class AdminSessionResponse(Shape):
    """Who is logged in."""

    authenticated: Literal[True]
    username: str


class PaginatedResponse(Shape, Generic[T]):
    """Some of many, newest first."""

    items: list[T]
    total: int
    page: int
    per_page: int
    pages: int


class StatsResponse(Shape):
    """Totals over all that is kept.

    `image_bytes` counts every upload, `original_bytes` identical uploads once, as they are stored.
    """

    total_images: int
    total_jobs: int
    total_faces: int
    jobs_by_type: dict[str, int]
    jobs_by_method: dict[str, int]
    image_bytes: int
    original_bytes: int
    processed_bytes: int
    cleanup_pending: int


class StoredImageResponse(Shape):
    """An upload; both addresses expire, and `processed_url` is null where nothing was made of it."""

    id: UUID
    original_url: str
    processed_url: str | None
    content_hash: str
    format: str
    width: int
    height: int
    size_bytes: int
    job_count: int
    api_key_id: UUID | None
    created_at: datetime


class JobResponse(Shape):
    """What was done with an image."""

    id: UUID
    image_id: UUID
    job_type: str
    method: str | None
    options: dict[str, Any]
    model: str
    face_count: int
    processed_url: str | None
    processed_bytes: int | None
    inference_ms: float
    total_ms: float
    request_id: str
    api_key_id: UUID | None
    created_at: datetime


class StoredImageDetailResponse(StoredImageResponse):
    """An upload with its jobs, the newest hundred of them."""

    jobs: list[JobResponse]


class JobDetailResponse(JobResponse):
    """A job with what was answered: image, detections, summary, processing and profiling."""

    payload: dict[str, Any]


class CreateKeyRequest(Shape):
    """A key to be made."""

    name: Name
    plan: Plan | None = None


class ChangeKeyRequest(Shape):
    """What shall be different; fields that are not given stay."""

    name: Name = ""
    is_active: bool = True
    plan: Plan = ""


class ApiKeyResponse(Shape):
    """What may be shown of a key."""

    id: UUID
    name: str
    key_prefix: str
    key_suffix: str
    key_preview: str
    is_active: bool
    plan: str
    request_count: int
    last_used_at: datetime | None
    created_at: datetime


class ApiKeyCreatedResponse(ApiKeyResponse):
    """A new key with its secrets, which are shown this once."""

    key: str
    webhook_secret: str


class WebhookSecretResponse(Shape):
    """A new secret, shown this once; the one before stays valid for a day."""

    webhook_secret: str


class AuditEntryResponse(Shape):
    """Something that an administrator did, or was refused."""

    id: UUID
    at: datetime
    who: str
    action: str
    subject: str
    address: str | None
    detail: dict[str, Any]


class AuditResponse(Shape):
    """Entries, newest first; `next_before` asks for those that come after them."""

    items: list[AuditEntryResponse]
    next_before: UUID | None


class MaskingShape(Shape):
    """How faces were hidden."""

    method: str
    strength: int
    padding: float
    regions_masked: int


class OutputShape(Shape):
    """The picture that was made."""

    format: str
    quality: int
    size_bytes: int
    image_base64: str


class MaskResponse(DetectResponse):
    """A mask as JSON."""

    masking: MaskingShape
    output: OutputShape
