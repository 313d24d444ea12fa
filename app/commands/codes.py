"""Exit codes of `facefleet`, the same for every command, so that scripts can trust them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.client.errors import (
    ApiError,
    Conflict,
    Forbidden,
    NotFound,
    RateLimited,
    ServerFault,
    Unauthorized,
    Unavailable,
    Unreachable,
    WaitedTooLong,
)

if TYPE_CHECKING:
    from app.client.errors import ClientError

DONE: Final = 0
#: Something else went wrong; the text says what.
FAILED: Final = 1
#: Options, arguments or a manifest that make no sense; nothing was done.
WRONG_USAGE: Final = 2
#: A licence was not accepted (`models pull`).
LICENCE_REFUSED: Final = 3
#: The key, or the administrator's password, opens nothing.
NOT_ALLOWED: Final = 4
#: There is no such task, key, library, file.
NOT_FOUND: Final = 5
#: Nobody answers, or the service is overloaded or its limits are used up: the same command may work later.
TRY_LATER: Final = 6
#: The service will not take this file or this request, however often it is sent.
REFUSED: Final = 7
#: A bulk job or an import is done, and some of its rows failed: their reasons were told.
SOME_FAILED: Final = 8
#: The output folder belongs to another job, or another process works in it.
FOLDER_TAKEN: Final = 9
#: Ctrl-C.
INTERRUPTED: Final = 130

_CODES: tuple[tuple[tuple[type[ClientError], ...], int], ...] = (
    ((Unauthorized, Forbidden), NOT_ALLOWED),
    ((NotFound,), NOT_FOUND),
    ((Unreachable, RateLimited, Unavailable, ServerFault, WaitedTooLong), TRY_LATER),
    ((Conflict,), FAILED),
    ((ApiError,), REFUSED),
)


def code_of(error: ClientError) -> int:
    """Return the exit code that stands for this error."""
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), FAILED)
