"""The one table that turns what went wrong into a status and an envelope, for each door.

    an error is raised -> `answer_for` looks its class up -> `Answer` -> the envelope of the path's door

Door one (`/health`, `/api/v1/...`) says `{"detail": "message"}`. Door two (`/v1/...`) says
`{"error": {"code", "message", "request_id"}}`. An error that is in no table is a bug: its text stays in the
log and the caller reads a constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import Response

from pipelines.errors import (
    CallerError,
    InvalidMedia,
    InvalidOption,
    MediaTooLarge,
    NoFaces,
    Unavailable,
    UnfitReference,
    UnsupportedMedia,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Paths of door two begin with this.
DOOR_TWO = "/v1/"
#: What a caller reads when the fault is ours.
BUG_TEXT = "Internal error. Quote the request id when you report it."


class Unauthorized(CallerError):
    """No key or password, or not one of ours; `challenge` names what would do."""

    def __init__(self, message: str, challenge: str | None = "ApiKey") -> None:
        super().__init__(message)
        self.challenge = challenge

    def __reduce__(self) -> tuple[type[Unauthorized], tuple[str, str | None]]:
        """Carry both arguments over a process border."""
        return (type(self), (self.message, self.challenge))


class Forbidden(CallerError):
    """Whoever asks is known, and still must not."""


class NotFound(CallerError):
    """There is nothing of this name."""


class RateLimited(CallerError):
    """The caller has used up what it may ask for in this time."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[type[RateLimited], tuple[str, int]]:
        """Carry both arguments over a process border."""
        return (type(self), (self.message, self.retry_after_s))


class Conflict(CallerError):
    """What is asked for does not go with the state that the thing is in."""


class MalformedBody(CallerError):
    """The body is not what its headers say."""


class BodyTooSlow(CallerError):
    """The body did not arrive in the time that is given to it."""


class NotOffered(CallerError):
    """The route needs a part of the service that is switched off here."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an error is at each door."""

    door_one: HTTPStatus
    door_two: HTTPStatus
    code: str


#: The nearest class in an error's ancestry decides.
VERDICTS: Mapping[type[BaseException], Verdict] = {
    InvalidMedia: Verdict(HTTPStatus.BAD_REQUEST, HTTPStatus.BAD_REQUEST, "invalid_media"),
    UnsupportedMedia: Verdict(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.BAD_REQUEST, "invalid_media"),
    MediaTooLarge: Verdict(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "payload_too_large"
    ),
    NoFaces: Verdict(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.UNPROCESSABLE_ENTITY, "no_faces_detected"),
    InvalidOption: Verdict(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_REQUEST, "invalid_request"),
    RequestValidationError: Verdict(
        HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_REQUEST, "invalid_request"
    ),
    MalformedBody: Verdict(HTTPStatus.BAD_REQUEST, HTTPStatus.BAD_REQUEST, "invalid_request"),
    BodyTooSlow: Verdict(HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_TIMEOUT, "invalid_request"),
    Unauthorized: Verdict(HTTPStatus.UNAUTHORIZED, HTTPStatus.UNAUTHORIZED, "unauthorized"),
    Forbidden: Verdict(HTTPStatus.FORBIDDEN, HTTPStatus.FORBIDDEN, "forbidden"),
    Conflict: Verdict(HTTPStatus.CONFLICT, HTTPStatus.CONFLICT, "conflict"),
    NotFound: Verdict(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_FOUND, "not_found"),
    RateLimited: Verdict(HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.TOO_MANY_REQUESTS, "rate_limited"),
    NotOffered: Verdict(HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.NOT_IMPLEMENTED, "service_unavailable"),
    CallerError: Verdict(HTTPStatus.BAD_REQUEST, HTTPStatus.BAD_REQUEST, "invalid_request"),
    Unavailable: Verdict(
        HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE, "service_unavailable"
    ),
}
BUG = Verdict(HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error")

#: Codes of door two for errors that the framework raises by status: unknown routes, wrong methods.
CODES: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.CONFLICT: "conflict",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "payload_too_large",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limited",
    HTTPStatus.SERVICE_UNAVAILABLE: "service_unavailable",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, what to say beside it, and the headers that belong to it; `reason` is for programs."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str]
    reason: str | None = None


def answer_for(error: BaseException, path: str) -> Answer:
    """Return what the door of this path says to this error."""
    if isinstance(error.__cause__, CallerError):
        # The framework wraps what goes wrong while it reads a JSON body itself.
        error = error.__cause__
    if isinstance(error, HTTPException):
        code = CODES.get(error.status_code) or (
            "internal_error" if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request"
        )
        return Answer(error.status_code, code, str(error.detail), error.headers or {})
    verdict = next((VERDICTS[kind] for kind in type(error).__mro__ if kind in VERDICTS), BUG)
    status = verdict.door_two if path.startswith(DOOR_TWO) else verdict.door_one
    message = BUG_TEXT if verdict is BUG else _message(error)
    reason = error.reason if isinstance(error, UnfitReference) else None
    return Answer(int(status), verdict.code, message, _headers(error), reason)


def error_response(error: Exception, path: str, request_id: str) -> Response:
    """Return the answer to an error in the envelope of the path's door."""
    answer = answer_for(error, path)
    return Response(
        to_json(envelope(answer, path, request_id)),
        answer.status,
        headers=dict(answer.headers),
        media_type="application/json",
    )


def envelope(answer: Answer, path: str, request_id: str) -> dict[str, Any]:
    """Wrap the message as the path's door does."""
    if path.startswith(DOOR_TWO):
        told = {"code": answer.code, "message": answer.message, "request_id": request_id}
        return {"error": told if answer.reason is None else {**told, "reason": answer.reason}}
    return {"detail": answer.message}


def _message(error: BaseException) -> str:
    if isinstance(error, RequestValidationError):
        return readable(error.errors())
    return str(error)


def readable(errors: Sequence[Any]) -> str:
    """Say in one line which parameters are wrong and why."""
    return "; ".join(f"{_place(error['loc'])}: {error['msg']}" for error in errors)


def _place(loc: Sequence[str | int]) -> str:
    inner = [str(part) for part in loc[1:]]
    return ".".join(inner) or str(loc[0])


def _headers(error: BaseException) -> dict[str, str]:
    if isinstance(error, (Unavailable, RateLimited)):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, Unauthorized) and error.challenge is not None:
        return {"WWW-Authenticate": error.challenge}
    return {}
