"""How this service writes its log: one JSON object a line on standard output.

Nothing that identifies a person or opens a door is ever handed to it: no pictures, faces, names, keys,
query strings or signed addresses.
"""

from __future__ import annotations

import logging
import traceback

import structlog

log = structlog.get_logger("facefleet.bugs")


def configure_logging() -> None:
    """Set up logging for this process."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        cache_logger_on_first_use=True,
    )
    # The form parser warns of every broken form; the caller is told in the answer.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)


def log_bug(event: str, error: BaseException, **fields: str) -> None:
    """Write down an error that nobody expected, with where it came from.

    The traceback is made here and is plain: what a logger makes of an exception by default may print the
    values of local variables, keys and pictures among them.
    """
    log.error(event, traceback="".join(traceback.format_exception(error)), **fields)
