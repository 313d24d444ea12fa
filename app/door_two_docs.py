"""The shapes of door two's refusals, for the documentation."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorDetail(_Shape):
    """What went wrong: for a program, for a person, and to quote when asking."""

    code: str
    message: str
    request_id: str


class ErrorEnvelope(_Shape):
    """Every refusal of door two."""

    error: ErrorDetail


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorEnvelope, "description": text}
    for status, text in (
        (400, "invalid_request or invalid_media: the message names the field"),
        (401, "unauthorized: key missing or wrong"),
        (403, "forbidden: another key's"),
        (404, "not_found"),
        (409, "conflict: not in the state that it is in"),
        (413, "payload_too_large"),
        (422, "no_faces_detected"),
        (429, "rate_limited: too many requests, or the month's minutes are used up; see Retry-After"),
        (503, "service_unavailable: try again later; see Retry-After"),
    )
}
