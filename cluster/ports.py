"""Ports for one service on one box: a block of its own, below those that the system hands out by itself.

A port that the system gave a moment ago may be anybody's by the time it is used; nobody takes one of these
by accident.
"""

from __future__ import annotations

import errno
import hashlib
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOPBACK = "127.0.0.1"
BLOCKS = range(20_000, 30_000, 100)
BLOCK_SIZE = 100
#: The first ports of a block have a name each; replicas share the rest.
NAMED = 20


@dataclass(frozen=True, slots=True)
class Ports:
    """A service's block of ports, from its first one on."""

    first: int

    @property
    def haproxy_metrics(self) -> int:
        """Tell where HAProxy's metrics are."""
        return self.first

    @property
    def haproxy_stats(self) -> int:
        """Tell where HAProxy's statistics are."""
        return self.first + 1

    @property
    def fallback(self) -> tuple[int, int]:
        """Tell where Serve's own proxy listens for HTTP and for gRPC."""
        return self.first + 2, self.first + 3

    @property
    def ray(self) -> range:
        """Tell the ports that Ray is started with."""
        return range(self.first + 4, self.first + NAMED)

    @property
    def metrics(self) -> int:
        """Tell where Prometheus reads all figures, unless the operator says otherwise."""
        return self.ray[5]

    @property
    def replicas(self) -> range:
        """Tell where replicas take requests from HAProxy."""
        return range(self.first + NAMED, self.reserving)

    @property
    def reserving(self) -> int:
        """Tell the port that is held by who is about to use the block."""
        return self.first + BLOCK_SIZE - 1


@contextmanager
def reserved_ports(home: Path) -> Iterator[Ports]:
    """Give a block that nobody uses now, and let nobody else have it meanwhile.

    It is the one that the home's path leads to, or the next after it.
    """
    start = int(hashlib.sha256(str(home).encode()).hexdigest()[:8], 16) % len(BLOCKS)
    for first in (*BLOCKS[start:], *BLOCKS[:start]):
        ports = Ports(first)
        with socket.socket() as held:
            # Two that start in the same instant see the same ports free; only one of them can hold this one.
            try:
                held.bind((LOOPBACK, ports.reserving))
                held.listen()
            except OSError:
                continue
            if any(obstacle(LOOPBACK, port) for port in range(first, ports.reserving)):
                continue
            yield ports
            return
    message = f"no free block of ports between {BLOCKS[0]} and {BLOCKS[-1] + BLOCK_SIZE}"
    raise OSError(message)


def ports_for(home: Path) -> Ports:
    """Return a block that nobody uses now, for who starts nothing there."""
    with reserved_ports(home) as ports:
        return ports


def free_ports(count: int) -> list[int]:
    """Return this many ports that nobody listens on right now, no two alike."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def obstacle(host: str, port: int) -> str | None:
    """Tell why nobody can listen there now, or None if that is possible."""
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return f"{host} is not an address of this machine"
    for family, kind, protocol, _, address in places:
        with socket.socket(family, kind, protocol) as probe:
            # Connections that are only winding down are no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                return _in_words(error, host, port)
    return None


def _in_words(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use by another program"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} needs rights that this user does not have"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine"
    return f"port {port} on {host} cannot be listened on: {error.strerror}"
