"""Going on where a connection broke off: what may be asked for, and whether that is what was answered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
#: A file may change twice within the second that a date can tell.
_DATE_IS_STRONG_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one version of a remote file from another.

    Attributes:
        tag: a strong ETag, or the date of the last change where there is none.
        is_date: which of both.
    """

    tag: str
    is_date: bool


@dataclass(frozen=True, slots=True)
class Part:
    """What a 206 claims to be: from `first`, up to but without `end`, of `total` bytes."""

    first: int
    end: int
    total: int | None


def version_of(etag: str | None, last_modified: str | None, date: str | None) -> Version | None:
    """Return what a rest may be asked for with; None where nothing is sure enough."""
    if etag:
        return None if etag.startswith("W/") or not _is_plain(etag) else Version(etag, is_date=False)
    if not last_modified or not date:
        return None
    try:
        age = parsedate_to_datetime(date) - parsedate_to_datetime(last_modified)
    except (TypeError, ValueError, OverflowError):
        return None
    return Version(last_modified, is_date=True) if age >= _DATE_IS_STRONG_AFTER else None


def ask_for_rest(have: int, version: Version | None) -> dict[str, str]:
    """Return the headers that ask for what is missing of this very version."""
    if not have or version is None:
        return {}
    return {"Range": f"bytes={have}-", "If-Range": version.tag}


def read_content_range(value: str | None) -> Part | None:
    """Read a Content-Range header; None where it makes no sense."""
    found = _CONTENT_RANGE.fullmatch(value or "")
    if found is None:
        return None
    first, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    if last < first or (total is not None and last >= total):
        return None
    return Part(first, last + 1, total)


def is_the_rest(
    part: Part | None, have: int, total: int | None, version: Version | None, seen: Version | None
) -> bool:
    """Tell whether a 206 goes on with the file that has begun.

    Args:
        part: what it claims to be.
        have: bytes that are here.
        total: bytes of the whole file, as first heard.
        version: of the bytes that are here.
        seen: of the bytes that come now; None where it says nothing.
    """
    if part is None or part.first != have:
        return False
    if total is not None and part.total is not None and part.total != total:
        return False
    return seen is None or version is None or seen == version


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()
