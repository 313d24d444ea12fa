"""What tasks are made of. Plain values: rows stay in the modules that read them."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from pipelines.results import ImageFormat, MaskMethod

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pipelines.attributes import Attribute
    from pipelines.redact.output import Codec, Container

#: Whose tasks they are where no keys are asked for.
ANYONE = uuid.UUID(int=0)
_TASK_ID = re.compile(r"task_([0-9a-f]{32})")
_UPLOAD_ID = re.compile(r"up_([0-9a-f]{32})")


class TaskType(str, Enum):
    """What the media is."""

    VIDEO = "video"
    IMAGE = "image"
    GIF = "gif"
    #: A list of people to be enrolled.
    IMPORT = "import"


class Status(str, Enum):
    """Where a task is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Tell whether nothing will change any more."""
        return self in {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED}


OPEN = (Status.QUEUED.value, Status.RUNNING.value)


class Report(str, Enum):
    """What a mask task tells of what it masked."""

    NONE = "none"
    TRACKS = "tracks"
    FRAMES = "frames"


@dataclass(frozen=True, slots=True)
class MaskTaskOptions:
    """How faces are masked, and what is written.

    Attributes:
        method, strength, padding: as in door one.
        every: of a video every so many-th frame is looked at.
        container, codec: of a video; None is chosen after the source.
        image_format: of a picture; None is chosen after the source.
        quality: 1 to 100.
        report: what is told of it.
        keep: people of the library who stay visible, if anybody does.
        only: people of the library who alone are hidden, if not everybody is.
    """

    method: MaskMethod = MaskMethod.GAUSSIAN
    strength: int = 199
    padding: float = 0.15
    every: int = 1
    container: Container | None = None
    codec: Codec | None = None
    image_format: ImageFormat | None = None
    quality: int = 80
    report: Report = Report.TRACKS
    keep: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """How the media is to be analysed; where `mask` is set, to be masked."""

    type: TaskType
    start_time: float = 0.0
    end_time: float | None = None
    sample_rate: int = 2
    min_face_size: int = 40
    confidence_threshold: float = 0.5
    attributes: tuple[Attribute, ...] = ()
    recognize: bool = False
    library_id: str | None = None
    top_k: int = 1
    mask: MaskTaskOptions | None = None


@dataclass(frozen=True, slots=True)
class NewTask:
    """A request that passed every check."""

    options: TaskOptions
    media_url: str
    callback_url: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What the media turned out to be; a picture has no duration."""

    width: int
    height: int
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Why a task failed, in the words of the error envelope."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Task:
    """A task as its owner may see it, without the frames of its result."""

    id: uuid.UUID
    owner: uuid.UUID
    status: Status
    type: TaskType
    media_url: str
    options: TaskOptions
    callback_url: str | None
    metadata: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    estimated_s: int
    progress: float
    media: MediaFacts | None
    summary: Mapping[str, Any] | None
    page_count: int
    failure: TaskFailure | None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that this runner works on, for as long as nobody takes it up with a higher fence."""

    task: Task
    fence: int
    media_digest: str | None


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """A part of the media that is analysed in one go.

    Attributes:
        number: its place in the order, from 0.
        plan: what the pipeline that planned it needs to know, as JSON.
        media_s: how much of the media it is.
    """

    number: int
    plan: Mapping[str, Any]
    media_s: float


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A planned chunk as the database knows it."""

    chunk: ChunkPlan
    tries: int
    is_done: bool


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """What probing found, and the chunks that it comes to; a list of people has no size."""

    media: MediaFacts | None
    chunks: tuple[ChunkPlan, ...]
    billed_s: float = field(default=0.0)


def task_text(task_id: uuid.UUID) -> str:
    """Return a task's identifier as clients know it: in the order of creation."""
    return f"task_{task_id.hex}"


def read_task_id(text: str) -> uuid.UUID | None:
    """Return the identifier that a client wrote; None for what cannot be one."""
    found = _TASK_ID.fullmatch(text)
    return uuid.UUID(found[1]) if found else None


def upload_text(upload_id: uuid.UUID) -> str:
    """Return an upload's identifier as clients know it."""
    return f"up_{upload_id.hex}"


def read_upload_id(text: str) -> uuid.UUID | None:
    """Return the identifier that a client wrote; None for what cannot be one."""
    found = _UPLOAD_ID.fullmatch(text)
    return uuid.UUID(found[1]) if found else None


def owner_of(key_id: str) -> uuid.UUID:
    """Return who owns what this key makes."""
    try:
        return uuid.UUID(key_id)
    except ValueError:
        return ANYONE
