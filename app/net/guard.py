"""Decides whether this service may connect to an address that somebody else has named.

    address -> port -> the host's IP addresses, looked up once -> each judged -> `Checked`

A connection is then made to those very addresses (`app.net.pinned`), so a name that changes between check and
use changes nothing. What is refused is refused with the same words whether a name is unknown or private:
callers cannot map the operator's network by asking.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.net.addresses import IpAddress
    from app.net.allowing import AllowList
    from app.net.urls import WebAddress

log = structlog.get_logger(__name__)

LOOKUP_TIMEOUT_S = 5.0
MOST_ADDRESSES = 16
NO_PUBLIC_ADDRESS = "its host has no public address"

_FIRST_FREE_PORT = 1024
_USUAL_PORTS = frozenset({80, 443})
#: Ports above 1023 that browsers refuse as well: other protocols than HTTP listen there.
_OTHER_PROTOCOLS = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 10080}
    | {6665, 6666, 6667, 6668, 6669, 6679, 6697}
)


class Refused(Exception):
    """The address must not be connected to; `reason` may be shown to the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NameUnknown(Refused):
    """The name cannot be looked up now; it may be later."""


class Resolver(Protocol):
    """Looks names up."""

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the IP addresses of a host, best first; none where there are none."""


@dataclass(frozen=True, slots=True)
class Checked:
    """An address that may be connected to, at these IP addresses and no others.

    Attributes:
        address: what was asked for.
        ips: where it was found; all of them may be connected to.
        opened: the operator listed it, so ports and plain HTTP are the operator's affair.
    """

    address: WebAddress
    ips: tuple[str, ...]
    opened: bool


class SystemResolver:
    """Asks the machine's resolver, on threads of its own: names that never answer block nobody else."""

    def __init__(self, threads: int = 32) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="names")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the IP addresses of a host."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _look_up, host, port)
        except (OSError, UnicodeError):
            return ()
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))

    def close(self) -> None:
        """Take no more names; who is waiting for an answer is left to wait."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Guard:
    """Judges addresses by the operator's list and the registries."""

    def __init__(
        self, allow: AllowList, resolve: Resolver, lookup_timeout_s: float = LOOKUP_TIMEOUT_S
    ) -> None:
        self._allow = allow
        self._resolve = resolve
        self._lookup_timeout_s = lookup_timeout_s

    async def check(self, address: WebAddress, *, https_only: bool = False) -> Checked:
        """Return where the address may be connected to.

        Args:
            address: what somebody asks for.
            https_only: refuse plain HTTP, but to hosts that the operator listed.

        Raises:
            Refused: nowhere.
        """
        ips = await self._ips(address)
        if not ips:
            raise NameUnknown(NO_PUBLIC_ADDRESS)
        # One bad address among good ones is a name that is not what it seems.
        if not all(self._allow.permits(address.host, ip) for ip in ips):
            log.warning("address refused", host=address.host, reason="not public and not opened")
            raise Refused(NO_PUBLIC_ADDRESS)
        opened = all(self._allow.opens(address.host, ip) for ip in ips)
        if not opened:
            _check_port(address.port)
        if https_only and address.scheme != "https" and not opened:
            reason = "it must be an https address"
            raise Refused(reason)
        return Checked(address, tuple(str(ip) for ip in ips[:MOST_ADDRESSES]), opened)

    async def _ips(self, address: WebAddress) -> list[IpAddress]:
        try:
            return [ip_address(address.host)]
        except ValueError:
            pass  # A name, then.
        try:
            found = await asyncio.wait_for(self._resolve(address.host, address.port), self._lookup_timeout_s)
            return [ip_address(text) for text in found]
        except (ValueError, asyncio.TimeoutError):
            return []


def _check_port(port: int) -> None:
    if port in _USUAL_PORTS or (port >= _FIRST_FREE_PORT and port not in _OTHER_PROTOCOLS):
        return
    reason = "its port is not one that web servers use"
    raise Refused(reason)


def _look_up(host: str, port: int) -> list[tuple[object, object, object, object, tuple[object, ...]]]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
