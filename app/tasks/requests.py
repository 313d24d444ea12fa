"""The body of `POST /v1/create-detection-task`: every field with its default and its range.

Types are meant as they are written: `"2"` is no number and `true` is none either, but `2.0` is an integer, as
in JSON. A field that is null counts as left out. Fields that nobody knows are ignored, so that clients may be
newer than this service. What is said of `video` alone is ignored for other media.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

from pydantic import BeforeValidator, ConfigDict, Field

from app.bodies import Body, CallbackUrl, Metadata
from app.metadata import checked_metadata
from app.net.urls import LONGEST_URL, BadAddress, read_address
from app.tasks.values import NewTask, TaskOptions, TaskType
from pipelines.attributes import Attribute
from pipelines.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Collection

    from app.libraries.requests import ImportRequest
    from app.net.allowing import AllowList

MOST_ATTRIBUTES = 64
LONGEST_NAME = 128
#: A day and a half of video is more than any file of the largest accepted size holds.
LATEST_S = 10_000_000.0
LARGEST_FACE = 10_000


def _whole(value: object) -> object:
    """Let 2.0 be the integer that it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
Seconds = Annotated[float, Field(ge=0, le=LATEST_S)]


class DetectionTaskRequest(Body):
    """What a task is to do."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "image",
                "media_url": "https://example.com/media.jpg",
                "min_face_size": 40,
                "metadata": {"order": "121233"},
            }
        },
    )

    type: Literal["video", "image", "gif"] = Field(description="What the media is.")
    media_url: str = Field(
        min_length=1,
        max_length=LONGEST_URL,
        description="Publicly reachable URL of the source media, `upload://ID`, or `s3://bucket/key`.",
    )
    start_time: Seconds = Field(default=0.0, description="Video only. Seconds from the start to begin.")
    end_time: Seconds | None = Field(
        default=None, description="Video only. Seconds from the start to stop; default: end of file."
    )
    sample_rate: Whole = Field(
        default=2, ge=1, le=30, description="Video and gif only. Frames per second to analyse."
    )
    min_face_size: Whole = Field(
        default=40, ge=0, le=LARGEST_FACE, description="Smallest face side in pixels."
    )
    confidence_threshold: float = Field(
        default=0.5, ge=0, le=1, description="Detections below this are discarded."
    )
    attributes: list[Literal[tuple(each.value for each in Attribute)]] = Field(  # type: ignore[valid-type] # the domain's own list of names
        default=[], max_length=MOST_ATTRIBUTES, description="What to tell of each face."
    )
    recognize: Whole = Field(default=0, ge=0, le=1, description="1 to match against `library_id`.")
    library_id: str | None = Field(default=None, min_length=1, max_length=LONGEST_NAME)
    top_k: Whole = Field(default=1, ge=1, le=10, description="Matches returned per face.")
    callback_url: CallbackUrl = None
    metadata: Metadata = None


def new_task(
    body: DetectionTaskRequest,
    offered: Collection[Attribute],
    allow: AllowList,
    *,
    can_sign: bool,
    can_recognize: bool = False,
) -> NewTask:
    """Return what is asked for, once every field makes sense beside the others.

    Args:
        body: the request.
        offered: attributes that this service can tell.
        allow: hosts that the operator opened.
        can_sign: whether the caller has a secret that callbacks are signed with.
        can_recognize: whether this service knows people at all.

    Raises:
        InvalidOption: something does not; the message names the field.
    """
    kind = TaskType(body.type)
    is_video = kind is TaskType.VIDEO
    if is_video and body.end_time is not None and body.end_time <= body.start_time:
        refuse("end_time", "it must be after start_time")
    attributes = tuple(dict.fromkeys(Attribute(name) for name in body.attributes))
    missing = [each.value for each in attributes if each not in offered]
    if missing:
        refuse("attributes", f"this service does not offer {', '.join(missing)}")
    if body.recognize:
        if body.library_id is None:
            refuse("library_id", "it is required when recognize is 1")
        if not can_recognize:
            refuse("recognize", "this service does not offer recognition; send 0 or leave it out")
    check_callback(body.callback_url, allow, can_sign=can_sign)
    return NewTask(
        TaskOptions(
            type=kind,
            start_time=body.start_time if is_video else 0.0,
            end_time=body.end_time if is_video else None,
            sample_rate=body.sample_rate,
            min_face_size=body.min_face_size,
            confidence_threshold=body.confidence_threshold,
            attributes=attributes,
            recognize=bool(body.recognize),
            library_id=body.library_id,
            top_k=body.top_k,
        ),
        body.media_url,
        body.callback_url,
        checked_metadata(body.metadata),
    )


def new_import(body: ImportRequest, library_id: str, allow: AllowList, *, can_sign: bool) -> NewTask:
    """Return a list of people as a task.

    Raises:
        InvalidOption: something makes no sense; the message names the field.
    """
    check_callback(body.callback_url, allow, can_sign=can_sign)
    options = TaskOptions(TaskType.IMPORT, library_id=library_id)
    return NewTask(options, body.media_url, body.callback_url, checked_metadata(body.metadata))


def check_callback(url: str | None, allow: AllowList, *, can_sign: bool) -> None:
    """Refuse an address that is not to be told, or could not be told safely.

    Raises:
        InvalidOption: it is one.
    """
    if url is None:
        return
    try:
        address = read_address(url)
    except BadAddress as error:
        refuse("callback_url", error.reason)
    if address.scheme != "https" and not _is_listed(address.host, allow):
        refuse("callback_url", "it must be an https address")
    if not can_sign:
        refuse("callback_url", "callbacks are signed with a key's secret; this service runs without keys")


def _is_listed(host: str, allow: AllowList) -> bool:
    """Tell whether the operator may have opened this host; who connects looks again."""
    return allow.names(host) or bool(allow.networks)


def refuse(name: str, why: str) -> NoReturn:
    """Say which field makes no sense, and why.

    Raises:
        InvalidOption: always.
    """
    message = f"{name}: {why}."
    raise InvalidOption(message)
