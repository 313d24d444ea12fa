"""What door two answers: tasks, their results, uploads."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read by the JSON reader
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - read by the JSON reader
from typing import Any

from app.client.results import Attributes  # noqa: TC001 - read by the JSON reader

TERMINAL = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class CreatedTask:
    """A task that waits now."""

    task_id: str
    status: str
    created_at: datetime
    estimated_seconds: int
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A person of a library whom a face resembles."""

    person_id: str
    score: float
    name: str | None = None
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a face resembles, best first."""

    matches: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskFace:
    """A face in a frame; `bbox` is x, y, width and height in pixels."""

    face_id: str
    bbox: tuple[int, ...]
    confidence: float
    track_id: str | None = None
    attributes: Attributes | None = None
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A moment that was looked at, in seconds from the beginning, and who was in it."""

    timestamp: float
    faces: tuple[TaskFace, ...]


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """The same face over several frames."""

    track_id: str
    appears_at: float | None = None
    disappears_at: float | None = None
    person_id: str | None = None


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """What became of a picture of an import: `enrolled`, or `refused` with the reason."""

    row: int
    person_id: str | None = None
    status: str = ""
    image: str | None = None
    face_id: str | None = None
    quality: float | None = None
    code: str | None = None
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """Everything together; of an import, how many pictures became what."""

    total_faces: int = 0
    unique_identities: int = 0
    rows: int | None = None
    enrolled: int | None = None
    refused: int | None = None


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What was found; a long result's other frames, or rows of an import, come by `next_cursor`."""

    frames: tuple[Frame, ...] = field(default=(), repr=False)
    face_tracks: tuple[FaceTrack, ...] = ()
    summary: TaskSummary = field(default_factory=TaskSummary)
    metadata: Mapping[str, Any] | None = None
    next_cursor: str | None = None
    rows: tuple[ImportedRow, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ResultPage:
    """A run of frames, or of rows of an import."""

    frames: tuple[Frame, ...] = ()
    next_cursor: str | None = None
    rows: tuple[ImportedRow, ...] = ()


@dataclass(frozen=True, slots=True)
class PersonSpan:
    """When somebody is to be seen, in milliseconds of the media; of a picture, in which face."""

    start_ms: int
    end_ms: int
    track_id: str | None = None
    face_id: str | None = None


@dataclass(frozen=True, slots=True)
class PersonSeen:
    """Somebody who appears in a task's media: a person of the library, or an unknown one of this task."""

    spans: tuple[PersonSpan, ...]
    person_id: str | None = None
    unknown_id: str | None = None
    name: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class PersonsSeenPage:
    """Who appears, in order of appearance."""

    persons: tuple[PersonSeen, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """What the media turned out to be."""

    url: str
    duration: float | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class TaskError:
    """Why a task failed."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Task:
    """How a task is."""

    task_id: str
    status: str
    type: str
    media: Media
    created_at: datetime
    completed_at: datetime | None = None
    progress: float = 0.0
    estimated_seconds: int | None = None
    metadata: Mapping[str, Any] | None = None
    error: TaskError | None = None
    result: TaskResult | None = None
    request_id: str | None = None

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing will change any more."""
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True)
class CancelledTask:
    """A task that was ended."""

    task_id: str
    status: str


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Tasks, newest first."""

    tasks: tuple[Task, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the parts of a file go; those in `missing` did not arrive yet, counted from 1."""

    size: int
    urls: tuple[str, ...] = field(repr=False)  # whoever has them may write
    count: int | None = None
    missing: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way, or whole; `media_url` names it in tasks once it is complete."""

    upload_id: str
    media_url: str
    expires_at: datetime
    filename: str | None = None
    size: int | None = None
    status: str = "open"
    parts: Parts | None = None
