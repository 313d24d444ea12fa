"""The body of `POST /v1/create-mask-task`: every field with its default and its range.

What holds for the fields of detection tasks holds here. What is said of `video` alone is ignored for others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field

from app.bodies import Body, CallbackUrl, Metadata
from app.metadata import checked_metadata
from app.net.urls import LONGEST_URL
from app.tasks.requests import (
    LARGEST_FACE,
    LONGEST_NAME,
    Seconds,
    Whole,
    check_callback,
    refuse,
)
from app.tasks.values import MaskTaskOptions, NewTask, Report, TaskOptions, TaskType
from pipelines.redact.output import Codec, Container
from pipelines.results import ImageFormat, MaskMethod

if TYPE_CHECKING:
    from app.net.allowing import AllowList

MOST_PERSONS = 1000
PersonId = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
#: Of a face that is overlooked the film is spoilt, of one too many it is not: less sure ones count, too.
CONFIDENCE = 0.3
SMALLEST_FACE = 16


class MaskTaskRequest(Body):
    """What a mask task is to do."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"type": "video", "media_url": "https://example.com/street.mp4", "method": "solid"}
        },
    )

    type: Literal["video", "image", "gif"] = Field(description="What the media is.")
    media_url: str = Field(
        min_length=1,
        max_length=LONGEST_URL,
        description="Publicly reachable URL of the source media, `upload://ID`, or `s3://bucket/key`.",
    )
    start_time: Seconds = Field(default=0.0, description="Video only. Seconds at which masking begins.")
    end_time: Seconds | None = Field(
        default=None, description="Video only. Seconds at which masking ends; default: end of file."
    )
    min_face_size: Whole | None = Field(
        default=None,
        ge=0,
        le=LARGEST_FACE,
        description=f"Smallest face side in pixels; default: {SMALLEST_FACE}, of a picture 0: every face.",
    )
    confidence_threshold: float = Field(
        default=CONFIDENCE, ge=0, le=1, description="A face is masked whose track is as sure as this once."
    )
    detect_every: Whole = Field(
        default=1, ge=1, le=10, description="Video only. Look for faces in every so many-th frame."
    )
    method: Literal[tuple(each.value for each in MaskMethod)] = Field(  # type: ignore[valid-type] # the domain's own list of names
        default=MaskMethod.GAUSSIAN.value, description="How faces are masked."
    )
    strength: Whole = Field(default=199, ge=1, le=10_000, description="Blur or block size.")
    padding: float = Field(
        default=0.15, ge=0, le=5, description="By how much of its size a face grows on each side."
    )
    keep: list[PersonId] = Field(
        default=[], max_length=MOST_PERSONS, description="person_ids of `library_id` who stay visible."
    )
    only: list[PersonId] = Field(
        default=[], max_length=MOST_PERSONS, description="person_ids of `library_id` who alone are masked."
    )
    library_id: str | None = Field(default=None, min_length=1, max_length=LONGEST_NAME)
    container: Literal[tuple(each.value for each in Container)] | None = Field(  # type: ignore[valid-type] # as above
        default=None, description="Video only. What is written; default: as the source."
    )
    codec: Literal[tuple(each.value for each in Codec)] | None = Field(  # type: ignore[valid-type] # as above
        default=None, description="Video only. Default: h264, hevc for more than 8 bits, vp9 for webm."
    )
    format: Literal[tuple(each.value for each in ImageFormat)] | None = Field(  # type: ignore[valid-type] # as above
        default=None, description="Image only. What is written; default: as the source, else png."
    )
    quality: Whole = Field(default=80, ge=1, le=100, description="Of the picture; 80 looks like the source.")
    report: Literal[tuple(each.value for each in Report)] = Field(  # type: ignore[valid-type] # as above
        default=Report.TRACKS.value, description="What the result tells: none, tracks, or tracks and frames."
    )
    callback_url: CallbackUrl = None
    metadata: Metadata = None


def new_mask_task(
    body: MaskTaskRequest, allow: AllowList, *, can_sign: bool, can_recognize: bool = False
) -> NewTask:
    """Return what is asked for, once every field makes sense beside the others.

    Args:
        body: the request.
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
    _check_persons(body, can_recognize=can_recognize)
    check_callback(body.callback_url, allow, can_sign=can_sign)
    mask = MaskTaskOptions(
        method=MaskMethod(body.method),
        strength=body.strength,
        padding=body.padding,
        every=body.detect_every,
        container=Container(body.container) if body.container else None,
        codec=Codec(body.codec) if body.codec else None,
        image_format=ImageFormat(body.format) if body.format else None,
        quality=body.quality,
        report=Report(body.report),
        keep=tuple(body.keep),
        only=tuple(body.only),
    )
    options = TaskOptions(
        type=kind,
        start_time=body.start_time if is_video else 0.0,
        end_time=body.end_time if is_video else None,
        min_face_size=_smallest(body.min_face_size, kind),
        confidence_threshold=body.confidence_threshold,
        library_id=body.library_id if body.keep or body.only else None,
        mask=mask,
    )
    return NewTask(options, body.media_url, body.callback_url, checked_metadata(body.metadata))


def _smallest(asked: int | None, kind: TaskType) -> int:
    if asked is not None:
        return asked
    # A picture hides what `/api/v1/mask` hides, which knows no smallest face.
    return 0 if kind is TaskType.IMAGE else SMALLEST_FACE


def _check_persons(body: MaskTaskRequest, *, can_recognize: bool) -> None:
    """Refuse people without their library, and where nobody is recognised: all or none is not the same."""
    if body.keep and body.only:
        refuse("only", "it cannot be combined with keep")
    for name, persons in (("keep", body.keep), ("only", body.only)):
        if persons and body.library_id is None:
            refuse("library_id", f"it is required with {name}")
        if persons and not can_recognize:
            refuse(name, "this service does not offer recognition; leave it out")
