"""Uploaded media and what was made of it, for players: any stretch of bytes, without reading the whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response, StreamingResponse

from app.admin.tiers import memory_of, storage_of
from app.errors import NotFound
from app.files import HEADERS
from app.records.task_views import parts_of_upload
from app.storage.port import content_type
from app.tasks.values import Status, read_upload_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from app.services import Services
    from app.storage.port import ObjectStore
    from app.tasks.opening import Tasks
    from app.tasks.values import Task

UPLOADED = "upload://"
#: The types of files that are uploaded; no other is claimed.
TYPES = {
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "mov": "video/mp4",  # the same boxes, and browsers know no other name for them
    "webm": "video/webm",
    "mkv": "video/webm",
    "gif": "image/gif",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


async def media_of_task(services: Services, tasks: Tasks, task: Task, wanted: str | None) -> Response:
    """Return the media of a task, or the stretch of it that a Range header asks for.

    Raises:
        NotFound: it was not uploaded here, or is gone.
    """
    upload_id = read_upload_id(task.media_url.removeprefix(UPLOADED).rstrip("/"))
    if upload_id is None or tasks.uploads is None or not task.media_url.startswith(UPLOADED):
        message = "The media of this task lies elsewhere."
        raise NotFound(message)
    upload = await tasks.uploads.get(task.owner, upload_id)
    place = storage_of(services).place
    if upload.object_key is not None:
        return RedirectResponse(await place.url(upload.object_key, services.settings.object_url_ttl_s), 302)
    parts = await parts_of_upload(memory_of(services).database, upload_id)
    kind = TYPES.get(upload.filename.rpartition(".")[2].lower(), "application/octet-stream")
    return _stretch(place, parts, upload.size_bytes, kind, wanted)


async def output_of_task(services: Services, tasks: Tasks, task: Task, wanted: str | None) -> Response:
    """Return what a task made, or the stretch of it that a Range header asks for.

    Raises:
        NotFound: it made nothing, or not yet.
    """
    found = None
    if tasks.objects is not None and task.status is Status.SUCCEEDED:
        found = await tasks.objects.output(task.id)
    if found is None:
        message = "This task made no media."
        raise NotFound(message)
    key, size = found
    place = storage_of(services).place
    url = await place.url(key, services.settings.object_url_ttl_s)
    if not url.startswith("/"):
        return RedirectResponse(url, 302)
    return _stretch(place, [found], size, content_type(key), wanted)


def _stretch(
    place: ObjectStore, parts: Sequence[tuple[str, int]], size: int, kind: str, wanted: str | None
) -> Response:
    headers = {**HEADERS, "Accept-Ranges": "bytes"}
    span = read_range(wanted, size)
    if span is None:
        body = _bytes(place, parts, 0, size)
        return StreamingResponse(body, 200, {**headers, "Content-Length": str(size)}, kind)
    first, end = span
    if first >= end:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers |= {"Content-Range": f"bytes {first}-{end - 1}/{size}", "Content-Length": str(end - first)}
    return StreamingResponse(_bytes(place, parts, first, end), 206, headers, kind)


def read_range(text: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the one after the last; equal where there is none such, None for all."""
    found = _RANGE.fullmatch(text or "")
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size
    first = int(found[1])
    end = min(size, int(found[2]) + 1) if found[2] else size
    return (first, end) if first < end else (size, size)


async def _bytes(
    place: ObjectStore, parts: Sequence[tuple[str, int]], first: int, end: int
) -> AsyncIterator[bytes]:
    at = 0
    for key, part_bytes in parts:
        begins, at = at, at + part_bytes
        if at <= first or begins >= end:
            continue
        position = begins
        async for piece in place.get(key):
            low, high = max(first - position, 0), min(end - position, len(piece))
            position += len(piece)
            if low < high:
                yield piece[low:high]
            if position >= end:
                break
