"""Calls of door one that take a picture, and health."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypedDict

from app.client.call import Call, as_result
from app.client.results import DetectResult, Health, MaskedPicture, MaskPreview

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    import httpx
    from typing_extensions import Unpack

    Picture = str | os.PathLike[str] | bytes | BinaryIO

_UNAVAILABLE = 503


class MaskFields(TypedDict, total=False):
    """What may be asked of a mask; the service's own defaults stand for what is left out.

    `method` is gaussian, pixelate, solid or elliptical; `format` is jpeg, png or webp.
    """

    confidence: float
    nms_threshold: float
    max_faces: int
    method: str
    strength: int
    padding: float
    format: str
    quality: int
    model: str


def health() -> Call[Health]:
    """Tell what the service stands on, also where it is not ready."""
    return Call("GET", "/health", as_result(Health), who="anybody", expected=(_UNAVAILABLE,))


def detect(
    image: Picture,
    *,
    confidence: float | None = None,
    nms_threshold: float | None = None,
    max_faces: int | None = None,
    model: str | None = None,
    attributes: Sequence[str] = (),
) -> Call[DetectResult]:
    """Find the faces in a picture.

    Args:
        image: a file's path, its bytes, or an open binary file.
        confidence: what is less certain is left out.
        nms_threshold: overlap above which two boxes are one.
        max_faces: at most this many; 0 for all.
        model: one of the detectors that the service has loaded.
        attributes: what to tell of each face: age, gender, emotion, pose, glasses, mask, quality, landmarks.
    """
    query = {
        "confidence": confidence,
        "nms_threshold": nms_threshold,
        "max_faces": max_faces,
        "model": model,
        "attributes": ",".join(attributes) or None,
    }
    return Call("POST", "/api/v1/detect", as_result(DetectResult), query=query, picture=picture_of(image))


def mask(image: Picture, **fields: Unpack[MaskFields]) -> Call[MaskedPicture]:
    """Make the faces in a picture unrecognisable.

    Args:
        image: a file's path, its bytes, or an open binary file.
        fields: see `MaskFields`.
    """
    return Call("POST", "/api/v1/mask", _masked, query=dict(fields), picture=picture_of(image))


def preview_mask(image: Picture, **fields: Unpack[MaskFields]) -> Call[MaskPreview]:
    """Mask a picture and tell all about it; nothing is kept. For administrators."""
    return Call(
        "POST",
        "/api/v1/admin/test/mask",
        as_result(MaskPreview),
        who="admin",
        query=dict(fields),
        picture=picture_of(image),
    )


def picture_of(image: Picture) -> Callable[[], tuple[str, bytes]]:
    """Return what reads a picture; a stream is read at once, for it cannot be read twice."""
    if isinstance(image, bytes):
        return lambda: ("image", image)
    if hasattr(image, "read"):
        data = image.read()
        return lambda: ("image", data)
    path = Path(image)
    return lambda: (path.name, path.read_bytes())


def _masked(response: httpx.Response) -> MaskedPicture:
    headers = response.headers
    total: Any = headers.get("x-total-ms", "0")
    return MaskedPicture(
        response.content,
        headers.get("content-type", "image/").removeprefix("image/"),
        int(headers.get("x-face-count", "0")),
        headers.get("x-model", ""),
        float(total),
        headers.get("x-request-id"),
        headers.get("x-image-id"),
        headers.get("x-job-id"),
    )
