"""Fetches from web servers that may be slow, broken or hostile.

    address -> guard -> answer -> redirect? -> guard again, at most five times
                               -> body -> scratch file, under a cap
                               -> broken off? -> wait -> ask for the rest of the same version

Bytes are taken as they are sent: what is compressed on the way is refused, so there is no bomb to unpack.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, cast

import structlog

from app.intake.port import CannotFetch, Origin
from app.intake.resume import ask_for_rest, is_the_rest, read_content_range, version_of
from app.net.guard import NameUnknown, Refused
from app.net.pinned import Broken, header
from app.net.retry_after import read_retry_after
from app.net.urls import BAD_REDIRECT, BadAddress, follow, read_address

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpcore

    from app.intake.port import FetchLimits
    from app.intake.resume import Version
    from app.intake.scratch import ScratchFile
    from app.net.pinned import Outbound
    from app.net.urls import WebAddress

log = structlog.get_logger(__name__)

LONGEST_WAIT = timedelta(seconds=30)
_MOST_DIGITS = 18
_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRY_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "Facefleet", "Connection": "close"}


class _TryAgain(Exception):
    """This try failed in a way that the next one may not."""

    def __init__(self, reason: str, wait: timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


@dataclass(slots=True)
class _Download:
    """A fetch that is going on.

    Attributes:
        scratch: takes the bytes.
        limits: when to give up.
        version: what the bytes so far are of; None where a rest cannot be asked for.
        restarts: how often bytes that were here had to be thrown away.
    """

    scratch: ScratchFile
    limits: FetchLimits
    version: Version | None = None
    restarts: int = 0

    def has_grown(self, size: int, restarts: int) -> bool:
        """Tell whether something worth keeping has come since then."""
        return self.version is not None and self.restarts == restarts and self.scratch.size > size

    async def begin_again(self) -> None:
        """Throw away all bytes."""
        self.restarts += 1
        self.version = None
        await self.scratch.restart()


class WebSender:
    """Fetches http and https addresses."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    def check(self, url: str) -> None:
        """Look at the address without asking anybody."""
        _read(url)

    async def pour(self, url: str, scratch: ScratchFile, limits: FetchLimits) -> Origin:
        """Write what the address names into the scratch file, going on after broken connections."""
        address = _read(url)
        download = _Download(scratch, limits)
        failures = 0
        while True:
            size, restarts = scratch.size, download.restarts
            try:
                return await self._try(address, download)
            except _TryAgain as error:
                # A bad line that still moves is not a failure, however often it breaks.
                failures = 0 if download.has_grown(size, restarts) else failures + 1
                if failures >= limits.tries:
                    raise CannotFetch(error.reason) from error
                log.info("fetch interrupted", host=address.host, reason=error.reason, have=scratch.size)
                await asyncio.sleep(_wait_s(error.wait, limits.backoff_s, failures))

    async def _try(self, start: WebAddress, download: _Download) -> Origin:
        address = start
        for _ in range(download.limits.redirects + 1):
            try:
                found = await self._ask(address, download)
            except NameUnknown as error:
                raise _TryAgain(error.reason if address is start else BAD_REDIRECT) from error
            except Refused as error:
                raise CannotFetch(error.reason if address is start else BAD_REDIRECT) from error
            except Broken as error:
                raise (CannotFetch if error.lasting else _TryAgain)(error.reason) from error
            if isinstance(found, Origin):
                return found
            address = found
        reason = "the server redirects too often"
        raise CannotFetch(reason)

    async def _ask(self, address: WebAddress, download: _Download) -> Origin | WebAddress:
        """Return where the body came from, or where the server sends us."""
        headers = _HEADERS | ask_for_rest(download.scratch.size, download.version)
        stall_s = download.limits.stall_s
        async with self._outbound.exchange(address, headers, timeout_s=stall_s) as response:
            if response.status in _REDIRECTS:
                return _redirected(address, header(response, "Location"))
            await _receive(response, download, asked="Range" in headers)
            return Origin(address.text, header(response, "Content-Type"))


async def _receive(response: httpcore.Response, download: _Download, *, asked: bool) -> None:
    """Take the body, or say why not."""
    _refuse(response, asked=asked)
    if response.status == _UNSATISFIABLE:
        await download.begin_again()
        reason = "the server has another file now"
        raise _TryAgain(reason)
    seen = version_of(*(header(response, name) for name in ("ETag", "Last-Modified", "Date")))
    if response.status == _PARTIAL:
        part = read_content_range(header(response, "Content-Range"))
        if not is_the_rest(part, download.scratch.size, download.scratch.total, download.version, seen):
            await download.begin_again()
            reason = "the server sent another part than was asked for"
            raise _TryAgain(reason)
    else:
        if download.scratch.size:
            await download.begin_again()
        download.version = seen
        download.scratch.expect(_length(response))
    await _take_body(response, download)


async def _take_body(response: httpcore.Response, download: _Download) -> None:
    scratch, limits = download.scratch, download.limits
    pace = _Pace(limits)
    async with aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_stream())) as pieces:
        async for piece in pieces:
            await scratch.add(piece)
            pace.note(len(piece))
    if scratch.total is not None and scratch.size < scratch.total:
        reason = "the server sent less than it promised"
        raise _TryAgain(reason)
    if scratch.total is not None and scratch.size > scratch.total:
        await download.begin_again()
        reason = "the server sent more than it promised"
        raise _TryAgain(reason)


class _Pace:
    """Notices a sender that drips: never silent, never done."""

    def __init__(self, limits: FetchLimits) -> None:
        self._window_s = limits.stall_s
        self._least = limits.stall_s * limits.slowest_bytes_per_s
        self._since = time.monotonic()
        self._bytes = 0

    def note(self, count: int) -> None:
        """Count bytes that came."""
        self._bytes += count
        now = time.monotonic()
        if now - self._since < self._window_s:
            return
        if self._bytes < self._least:
            reason = "the server sends too slowly"
            raise _TryAgain(reason)
        self._since, self._bytes = now, 0


def _refuse(response: httpcore.Response, *, asked: bool) -> None:
    """Raise where the answer is not the file."""
    status = response.status
    if status in _TRY_LATER:
        wait = read_retry_after(
            header(response, "Retry-After"), datetime.now(timezone.utc), longest=LONGEST_WAIT
        )
        raise _TryAgain(_answered(status), wait)
    if status != _OK and not (asked and status in (_PARTIAL, _UNSATISFIABLE)):
        raise CannotFetch(_answered(status))
    coding = header(response, "Content-Encoding")
    if coding and coding.lower() != "identity":
        reason = "the server sends it compressed although it was asked not to"
        raise CannotFetch(reason)


def _redirected(address: WebAddress, location: str | None) -> WebAddress:
    try:
        return follow(address, location or "")
    except BadAddress as error:
        raise CannotFetch(BAD_REDIRECT) from error


def _read(url: str) -> WebAddress:
    try:
        return read_address(url)
    except BadAddress as error:
        raise CannotFetch(error.reason) from error


def _length(response: httpcore.Response) -> int | None:
    """Return how many bytes the body has; None where the server does not say so in a way that counts."""
    if header(response, "Transfer-Encoding") is not None:
        return None
    length = header(response, "Content-Length") or ""
    return int(length) if length.isascii() and length.isdigit() and len(length) <= _MOST_DIGITS else None


def _answered(status: int) -> str:
    return f"the server answered {status}"


def _wait_s(asked: timedelta | None, backoff_s: float, failures: int) -> float:
    """Return how long to wait: what the server asks for, else longer each time, and never all at once."""
    if asked is not None:
        return asked.total_seconds()
    return backoff_s * 2.0 ** max(failures - 1, 0) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
