"""Load on one route from several connections, made to cost so little that it hardly shows in the figure."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BOUNDARY = "facefleet-bench"
#: Variables of a service that is to be loaded: no limits a key, and pictures are forgotten.
UNLIMITED = {"FACE_API_DETECT_RATE_LIMIT": "off", "FACE_API_MASK_RATE_LIMIT": "off"}
FORGETFUL = {**UNLIMITED, "FACE_API_STORAGE_ENABLED": "false"}


@dataclass
class Load:
    """What was seen: answers by status, and the time each took."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    times_ms: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Return answers a second, of those that were 200."""
        return self.statuses[200] / self.seconds

    def percentile_ms(self, percent: int) -> float:
        """Return the time that this share of the answers stayed under."""
        return statistics.quantiles(self.times_ms, n=100)[percent - 1] if len(self.times_ms) > 1 else 0.0


def form_request(path: str, port: int, picture: bytes, key: str | None) -> bytes:
    """Return a whole HTTP request that posts the picture as the seed's clients do."""
    body = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode()
    body += picture + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n"
    )
    if key:
        head += f"X-API-Key: {key}\r\n"
    return f"{head}\r\n".encode() + body


def run_load(
    request: bytes | Callable[[], bytes],
    port: int,
    connections: int,
    *,
    seconds: float = 0.0,
    requests: int = 0,
) -> Load:
    """Send the request over and over for this long, or this often, and return what came back.

    A function as `request` makes another one each time.
    """
    load = Load()
    lock = threading.Lock()
    left = [requests]
    end = time.perf_counter() + seconds if seconds else float("inf")

    def one_connection() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(120)
            while time.perf_counter() < end:
                if requests:
                    with lock:
                        if left[0] <= 0:
                            return
                        left[0] -= 1
                data = request if isinstance(request, bytes) else request()
                begun = time.perf_counter()
                connection.sendall(data)
                status = _read_answer(connection)
                took = (time.perf_counter() - begun) * 1e3
                with lock:
                    load.statuses[status] += 1
                    load.times_ms.append(took)

    threads = [threading.Thread(target=one_connection) for _ in range(connections)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds = time.perf_counter() - begun
    return load


def _read_answer(connection: socket.socket) -> int:
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _received(connection)
    head = bytes(data[:end]).lower()
    place = head.index(b"content-length:") + len(b"content-length:")
    length = int(head[place:].split(b"\r\n", 1)[0])
    missing = length - (len(data) - end - 4)
    while missing > 0:
        missing -= len(_received(connection))
    return int(head[9:12])


def _received(connection: socket.socket) -> bytes:
    part = connection.recv(1 << 18)
    if not part:
        message = "the service closed the connection"
        raise ConnectionError(message)
    return part
