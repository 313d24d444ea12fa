"""Calls of door two: tasks and uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

from app.client.call import Call, as_result, nothing, said_once, segment, without_nones
from app.client.task_results import (
    CancelledTask,
    CreatedTask,
    PersonsSeenPage,
    ResultPage,
    Task,
    TaskPage,
    Upload,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import httpx
    from typing_extensions import Unpack

MediaType = Literal["video", "image", "gif"]


class TaskFields(TypedDict, total=False):
    """What may be asked of a task; the service's own defaults stand for what is left out.

    Attributes:
        start_time: video only; seconds from the start to begin.
        end_time: video only; seconds from the start to stop.
        sample_rate: video and gif only; frames a second to analyse, 1 to 30.
        min_face_size: smallest side in pixels.
        confidence_threshold: what is less certain is left out.
        attributes: age, gender, emotion, pose, glasses, mask, quality, landmarks.
        recognize: 1 to match faces against `library_id`.
        library_id: of whom.
        top_k: matches for each face.
        callback_url: who is told of the end.
        metadata: up to 2 KB of your own, echoed in the result.
    """

    start_time: float
    end_time: float | None
    sample_rate: int
    min_face_size: int
    confidence_threshold: float
    attributes: Sequence[str]
    recognize: int
    library_id: str | None
    top_k: int
    callback_url: str | None
    metadata: Mapping[str, Any] | None


def create_task(
    media_type: MediaType, media_url: str, *, idempotency_key: str | None = None, **fields: Unpack[TaskFields]
) -> Call[CreatedTask]:
    """Queue the analysis of a video, a picture or an animation.

    Args:
        media_type: what the media is.
        media_url: http(s), `upload://ID` of an upload, or `s3://bucket/key` where the operator allows it.
        idempotency_key: with the same key and fields it is the same task, however often it is sent; made
            anew for this call where it is not given, so that a repeated try makes no second task.
        fields: see `TaskFields`.
    """
    body = without_nones(**fields) | {"type": media_type, "media_url": media_url}
    return Call(
        "POST",
        "/v1/create-detection-task",
        as_result(CreatedTask),
        json=body,
        headers=said_once(idempotency_key),
    )


class MaskTaskFields(TypedDict, total=False):
    """What may be asked of a mask task; the service's own defaults stand for what is left out.

    Attributes:
        start_time: video only; seconds at which masking begins.
        end_time: video only; seconds at which it ends.
        min_face_size: smallest side in pixels.
        confidence_threshold: what is less certain is not masked.
        method: gaussian, pixelate, solid or elliptical.
        strength: of the method.
        padding: by how much of its size a box grows on each side.
        detect_every: video only; look for faces in every so many-th frame.
        library_id: whose people are meant.
        keep: person_ids who stay visible, while everybody else is masked.
        only: person_ids who alone are masked.
        container: video only; mp4, mov, mkv or webm.
        codec: video only; h264, hevc or vp9.
        format: image only; jpeg, png or webp.
        quality: of the picture, 1 to 100.
        report: none, tracks, or frames.
        callback_url: who is told of the end.
        metadata: up to 2 KB of your own, echoed in the result.
    """

    start_time: float
    end_time: float | None
    min_face_size: int
    confidence_threshold: float
    method: str
    strength: int
    padding: float
    detect_every: int
    library_id: str | None
    keep: Sequence[str]
    only: Sequence[str]
    container: str | None
    codec: str | None
    format: str | None
    quality: int
    report: str
    callback_url: str | None
    metadata: Mapping[str, Any] | None


def create_mask_task(
    media_type: MediaType,
    media_url: str,
    *,
    idempotency_key: str | None = None,
    **fields: Unpack[MaskTaskFields],
) -> Call[CreatedTask]:
    """Queue a video, a picture or an animation to be given back with its faces unrecognisable.

    Args:
        media_type: what the media is.
        media_url: as of `create_task`.
        idempotency_key: as of `create_task`.
        fields: see `MaskTaskFields`.
    """
    body = without_nones(**fields) | {"type": media_type, "media_url": media_url}
    return Call(
        "POST",
        "/v1/create-mask-task",
        as_result(CreatedTask),
        json=body,
        headers=said_once(idempotency_key),
    )


def get_task(task_id: str) -> Call[Task]:
    """Tell how a task is, and what it found once it has."""
    return Call("GET", f"/v1/task/{segment(task_id)}", as_result(Task))


def get_task_answer(task_id: str) -> Call[httpx.Response]:
    """Tell the same as the service wrote it, for those who keep it as it is."""
    return Call("GET", f"/v1/task/{segment(task_id)}", _as_it_came)


def get_result_page(task_id: str, cursor: str | None = None) -> Call[ResultPage]:
    """Read a result's frames from the beginning, or from a cursor on."""
    path = f"/v1/task/{segment(task_id)}/result"
    return Call("GET", path, as_result(ResultPage), query={"cursor": cursor})


def get_result_page_json(task_id: str, cursor: str) -> Call[httpx.Response]:
    """Tell the same as the service wrote it."""
    return Call("GET", f"/v1/task/{segment(task_id)}/result", _as_it_came, query={"cursor": cursor})


def list_persons_seen(
    task_id: str, *, limit: int | None = None, cursor: str | None = None
) -> Call[PersonsSeenPage]:
    """Tell who appears when in the media of a task that recognised people."""
    path = f"/v1/task/{segment(task_id)}/persons"
    return Call("GET", path, as_result(PersonsSeenPage), query={"limit": limit, "cursor": cursor})


def list_tasks(
    *,
    status: str | None = None,
    media_type: MediaType | None = None,
    created_after: datetime | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[TaskPage]:
    """List your tasks, newest first, a page at a time.

    Args:
        status: queued, running, succeeded, failed or cancelled.
        media_type: what the media is.
        created_after: with a time zone.
        limit: of a page, 100 at most.
        cursor: from the page before.
    """
    query = {
        "status": status,
        "type": media_type,
        "created_after": None if created_after is None else created_after.isoformat(),
        "limit": limit,
        "cursor": cursor,
    }
    return Call("GET", "/v1/tasks", as_result(TaskPage), query=query)


def cancel_task(task_id: str) -> Call[CancelledTask]:
    """End a task that waits or runs."""
    # A second one would be told that it has ended already.
    return Call("POST", f"/v1/task/{segment(task_id)}/cancel", as_result(CancelledTask), is_repeatable=False)


def delete_task(task_id: str) -> Call[None]:
    """Remove a task with its result, its callbacks and what was uploaded for it."""
    return Call("DELETE", f"/v1/task/{segment(task_id)}", nothing, is_repeatable=False)


def begin_upload(filename: str, size: int) -> Call[Upload]:
    """Say what file will come, and hear where its parts are to be sent."""
    # Repeated, it leaves an empty upload behind, which the service drops after a day.
    return Call("POST", "/v1/uploads", as_result(Upload), json={"filename": filename[:255], "size": size})


def get_upload(upload_id: str) -> Call[Upload]:
    """Tell which parts are still to be sent, and where."""
    return Call("GET", f"/v1/uploads/{segment(upload_id)}", as_result(Upload))


def complete_upload(upload_id: str) -> Call[Upload]:
    """Say that every part was sent; any number of times."""
    return Call("POST", f"/v1/uploads/{segment(upload_id)}/complete", as_result(Upload))


def put_part(url: str, data: bytes) -> Call[None]:
    """Send a part to its address, which is its own permission."""
    return Call("PUT", url, nothing, who="anybody", content=lambda: data)


def _as_it_came(response: httpx.Response) -> httpx.Response:
    return response
