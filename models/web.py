"""Downloads a file over HTTP so that a lost connection, or a killed process, costs only what was in flight.

A part file grows beside a note of the server's version of the file (ETag or date). The next try asks for
the rest on condition that the version is the same; the server sends everything again when it is not.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from models.errors import SourceFailed

if TYPE_CHECKING:
    from pathlib import Path

    from models.listening import Listener

_TRIES = 5
_BACKOFF_S = 0.5
_TIMEOUT = httpx.Timeout(30, connect=10)
#: No weights are larger; a server that never ends must not fill the disk.
_MOST_BYTES = 2 << 30
_OK, _PARTIAL, _UNSATISFIABLE, _TOO_MANY, _SERVER_FAULT = 200, 206, 416, 429, 500


class _TryAgain(Exception):
    """This try failed in a way that the next one may not."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A download that has begun: its bytes and the version that they are of."""

    data: Path
    version: Path

    def size(self) -> int:
        """Return how many bytes are worth keeping: none when it is unknown what they are of."""
        return self.data.stat().st_size if self.data.is_file() and self.version.is_file() else 0

    def begin(self, response: httpx.Response) -> None:
        """Forget the bytes and note the version of those that come now."""
        self.data.unlink(missing_ok=True)
        self.version.unlink(missing_ok=True)
        version = _version(response)
        if version is not None:
            self.version.write_text(version, "utf-8")


def download(url: str, downloads: Path, listener: Listener, backoff_s: float = _BACKOFF_S) -> Path:
    """Return a file with what the address has, going on with an earlier try where there is one.

    Args:
        url: the address.
        downloads: the folder that keeps whole and partial files.
        listener: who is told how many bytes are here.
        backoff_s: the first wait after a failed try; each further one is twice as long.

    Raises:
        SourceFailed: the server refuses, or fails several times in a row without sending anything new.
    """
    key = hashlib.sha256(url.encode()).hexdigest()[:16]
    whole = downloads / key
    if whole.is_file():
        return whole
    part = _Part(downloads / f"{key}.part", downloads / f"{key}.version")
    failures = 0
    while True:
        before = part.size()
        try:
            _continue(url, part, listener)
            break
        except (httpx.TransportError, _TryAgain) as error:
            # A bad line that still moves is not a failure, however often it breaks.
            failures = 0 if part.size() > before else failures + 1
            reason = str(error) or type(error).__name__
            if failures >= _TRIES:
                message = f"gave up after {failures} tries without progress: {reason}"
                raise SourceFailed(message) from error
            listener.said(f"download interrupted ({reason}); trying again")
            time.sleep(backoff_s * 2**failures)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SourceFailed(str(error)) from error
    part.version.unlink(missing_ok=True)
    return part.data.replace(whole)


def _continue(url: str, part: _Part, listener: Listener) -> None:
    """Fetch what is missing of a part file."""
    have = part.size()
    # Bytes must be counted as they are stored, so no compression on the way.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": part.version.read_text("utf-8")}
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=_TIMEOUT) as response:
        _refuse(url, response)
        if response.status_code == _UNSATISFIABLE:
            part.version.unlink(missing_ok=True)
            message = "the server has another file now"
            raise _TryAgain(message)
        if response.status_code == _OK or not have:
            part.begin(response)
            have = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.version.unlink(missing_ok=True)
            message = "the server sent another range than was asked for"
            raise _TryAgain(message)
        _append(part, have, response, listener)


def _append(part: _Part, have: int, response: httpx.Response, listener: Listener) -> None:
    """Write the body behind the bytes that are there."""
    length = response.headers.get("Content-Length", "")
    total = have + int(length) if length.isdigit() else None
    with part.data.open("ab") as stream:
        # As they come: a block that is being collected would be lost with the connection.
        for block in response.iter_raw():
            have += len(block)
            if have > _MOST_BYTES:
                message = f"the file has more than {_MOST_BYTES} bytes"
                raise SourceFailed(message)
            stream.write(block)
            listener.moved(have, total)


def _refuse(url: str, response: httpx.Response) -> None:
    """Raise where the answer is not the file."""
    hops = (*response.history, response)
    if url.startswith("https:") and any(hop.url.scheme != "https" for hop in hops):
        message = "the server redirects to an address that is not https"
        raise SourceFailed(message)
    status = response.status_code
    if status in (_OK, _PARTIAL, _UNSATISFIABLE):
        return
    message = f"the server answers {status} {response.reason_phrase}"
    if status == _TOO_MANY or status >= _SERVER_FAULT:
        raise _TryAgain(message)
    raise SourceFailed(message)


def _version(response: httpx.Response) -> str | None:
    """Return what tells this version of the file from others; a weak tag does not."""
    tag: str = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    date: str | None = response.headers.get("Last-Modified")
    return date
