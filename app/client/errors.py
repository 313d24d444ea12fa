"""What a call can end with instead of a result.

ClientError
|- Unreachable         nothing answers there
|- WaitedTooLong       a task did not end in the time that was given to it
|- UnreadableAnswer    it answers, but not as Facefleet does
`- ApiError            the service refused: status, code, message and request id
   |- Unauthorized     401  the key is missing, wrong or turned off
   |- Forbidden        403  it is another key's
   |- NotFound         404
   |- Conflict         409  not in the state that it is in
   |- RateLimited      429  `retry_after_s` says when to ask again
   |- Unavailable      503  as above
   |- ServerFault      5xx  other than that
   `- Refused          4xx  other than those: the request can never succeed as it is
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from app.net.retry_after import read_retry_after

if TYPE_CHECKING:
    import httpx

LONGEST_RETRY_AFTER = timedelta(days=40)
_SHOWN_CHARACTERS = 300


class ClientError(Exception):
    """The root; its text is for people."""


class Unreachable(ClientError):
    """Nothing answers at the service's address."""


class WaitedTooLong(ClientError):
    """A task is still at work after the time that was given to it."""


class UnreadableAnswer(ClientError):
    """What answers there is not Facefleet, or another version than this client can read."""


class ApiError(ClientError):
    """The service refused.

    Attributes:
        status: of HTTP.
        code: for programs, as `invalid_media`; door one has none, there it is made from the status.
        message: for people.
        request_id: to quote when asking the operator.
        retry_after_s: when the service wants to be asked again, if it said so.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[type[ApiError], tuple[Any, ...]]:
        """Carry everything over a process border."""
        return (type(self), (self.status, self.code, self.message, self.request_id, self.retry_after_s))

    def __str__(self) -> str:
        return f"{self.message} ({self.code}{f', request {self.request_id}' if self.request_id else ''})"


class Unauthorized(ApiError):
    """The key is missing, wrong or turned off."""


class Forbidden(ApiError):
    """It belongs to another key."""


class NotFound(ApiError):
    """There is no such thing."""


class Conflict(ApiError):
    """What is asked for does not go with the state that the thing is in."""


class RateLimited(ApiError):
    """The key has used up what it may ask for in this time."""


class Unavailable(ApiError):
    """The service is overloaded, or waits for something that it needs."""


class ServerFault(ApiError):
    """Something broke on the other side."""


class Refused(ApiError):
    """The request can never succeed as it is."""


_KINDS: dict[int, tuple[type[ApiError], str]] = {
    HTTPStatus.UNAUTHORIZED: (Unauthorized, "unauthorized"),
    HTTPStatus.FORBIDDEN: (Forbidden, "forbidden"),
    HTTPStatus.NOT_FOUND: (NotFound, "not_found"),
    HTTPStatus.CONFLICT: (Conflict, "conflict"),
    HTTPStatus.TOO_MANY_REQUESTS: (RateLimited, "rate_limited"),
    HTTPStatus.SERVICE_UNAVAILABLE: (Unavailable, "service_unavailable"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (Refused, "payload_too_large"),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: (Refused, "unsupported_media"),
}


def error_of(response: httpx.Response) -> ApiError:
    """Return what an answer that is no success means, in whichever envelope it came."""
    status = response.status_code
    kind, code = _KINDS.get(
        status,
        (ServerFault, "internal_error")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR
        else (Refused, "invalid_request"),
    )
    request_id = response.headers.get("x-request-id")
    message, code, request_id = _envelope(response, code, request_id)
    after = read_retry_after(
        response.headers.get("retry-after"), datetime.now(timezone.utc), LONGEST_RETRY_AFTER
    )
    return kind(status, code, message, request_id, None if after is None else after.total_seconds())


def _envelope(response: httpx.Response, code: str, request_id: str | None) -> tuple[str, str, str | None]:
    fallback = f"HTTP {response.status_code} {response.reason_phrase}".strip()
    try:
        body = response.json()
    except ValueError:
        return fallback, code, request_id
    if isinstance(body, dict):
        error, detail = body.get("error"), body.get("detail")
        if isinstance(error, dict):
            return (
                str(error.get("message") or fallback),
                str(error.get("code") or code),
                error.get("request_id") or request_id,
            )
        if detail is not None:
            return str(detail)[:_SHOWN_CHARACTERS], code, request_id
    return fallback, code, request_id
