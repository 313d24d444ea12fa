"""Tasks as their owners see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from app.tasks.values import Status, TaskType, task_text

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from app.tasks.values import Task

PROGRESS_DIGITS = 3


def created_answer(
    request_id: str, task_id: uuid.UUID, created_at: datetime, estimated_s: int
) -> dict[str, Any]:
    """Return what a new task's owner hears."""
    return {
        "request_id": request_id,
        "task_id": task_text(task_id),
        "status": Status.QUEUED.value,
        "created_at": time_text(created_at),
        "estimated_seconds": estimated_s,
    }


def task_answer(task: Task) -> dict[str, Any]:
    """Return a task without its result and without a request's id."""
    media: dict[str, Any] = {"url": task.media_url}
    if task.media is not None:
        media |= {"duration": task.media.duration, "width": task.media.width, "height": task.media.height}
    answer: dict[str, Any] = {
        "task_id": task_text(task.id),
        "status": task.status.value,
        "type": task.type.value,
        "operation": _operation(task),
        "media": media,
        "progress": round(task.progress, PROGRESS_DIGITS),
        "estimated_seconds": task.estimated_s,
        "metadata": task.metadata,
        "created_at": time_text(task.created_at),
        "completed_at": time_text(task.completed_at),
    }
    if task.failure is not None:
        answer["error"] = {"code": task.failure.code, "message": task.failure.message}
    return answer


def _operation(task: Task) -> str:
    if task.type is TaskType.IMPORT:
        return "import"
    return "detect" if task.options.mask is None else "mask"


def entries_name(task: Task) -> str:
    """Return what the entries of a task's result are called."""
    return "rows" if task.type is TaskType.IMPORT else "frames"


def result_json(
    task: Task,
    frames: Sequence[bytes],
    tracks: Sequence[bytes],
    next_cursor: str | None,
    output: Mapping[str, Any] | None = None,
) -> bytes:
    """Return a result of pages, which are not read but joined; with `output`, the media that was made.

    Metadata is echoed in the result as well as beside it. `next_cursor` leads to the frames that are not in
    it; it is there only where there are such frames.
    """
    tail: dict[str, Any] = {"summary": dict(task.summary or {})}
    if output is not None:
        tail["output"] = dict(output)
    if task.metadata is not None:
        tail["metadata"] = task.metadata
    if next_cursor is not None:
        tail["next_cursor"] = next_cursor
    shown = [b'{"', entries_name(task).encode(), b'":[', b",".join(frames), b"],"]
    if task.type is not TaskType.IMPORT:
        shown += [b'"face_tracks":[', b",".join(tracks), b"],"]
    return b"".join([*shown, to_json(tail)[1:]])


def with_result(head: Mapping[str, Any], result: bytes | None) -> bytes:
    """Return an answer as JSON with the result, which is JSON already, as its last field."""
    return b"".join((to_json(head)[:-1], b',"result":', result or b"null", b"}"))


def time_text(moment: datetime | None) -> str | None:
    """Return a moment as clients read it: UTC, whole seconds."""
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
