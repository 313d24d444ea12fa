"""How this service writes its log: one JSON object a line on standard output.

Nothing that identifies a person or opens a door is ever handed to it: no pictures, faces, names, keys,
query strings or signed addresses.

What is done for a request bears its id in every line, in whichever process: `traced` puts it there, and
whoever hands work to another process hands on `current_request_id`.
"""

from __future__ import annotations

import logging
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

_REQUEST_ID = "request_id"

log = structlog.get_logger("facefleet.bugs")


def configure_logging() -> None:
    """Set up logging for this process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        cache_logger_on_first_use=True,
    )
    # The form parser warns of every broken form; the caller is told in the answer.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)


@contextmanager
def traced(request_id: str | None) -> Iterator[None]:
    """Have every line that is written in this block bear the id, if there is one."""
    if request_id is None:
        yield
        return
    with structlog.contextvars.bound_contextvars(**{_REQUEST_ID: request_id}):
        yield


def current_request_id() -> str | None:
    """Return the id of the request for which this is done; None where it is for none."""
    found: str | None = structlog.contextvars.get_contextvars().get(_REQUEST_ID)
    return found


def log_bug(event: str, error: BaseException, **fields: str) -> None:
    """Write down an error that nobody expected, with where it came from.

    The traceback is made here and is plain: what a logger makes of an exception by default may print the
    values of local variables, keys and pictures among them.
    """
    log.error(event, traceback="".join(traceback.format_exception(error)), **fields)
