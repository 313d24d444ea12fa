"""One HTTP exchange with an address that was checked, over a connection to where it was found by the check.

The name goes into the Host header, into SNI and against the server's certificate; it is not looked up again.
No proxy, cookie or password of this process's environment takes part, and no redirect is followed.
"""

from __future__ import annotations

import ssl
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import certifi
import httpcore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from pathlib import Path

    from app.net.guard import Checked, Guard
    from app.net.urls import WebAddress

MOST_HEADER_BYTES = 64 * 1024
CONNECT_TIMEOUT_S = 10.0
_LEAST_CONNECT_S = 1.0
_CLOSE_TIMEOUT_S = 2.0
_LARGE_HEADERS = "the server's headers are too large"
_TOO_LARGE = 431


class Broken(Exception):
    """The exchange failed; `reason` may be shown to the caller, `lasting` says that a retry is no use."""

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lasting = lasting


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the IP addresses of one check, one after the other, and nowhere else."""

    def __init__(self, checked: Checked, network: httpcore.AsyncNetworkBackend) -> None:
        self._checked = checked
        self._inner = network
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the base class names it so
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the checked addresses that answers."""
        if (host, port) != (self._checked.address.host, self._checked.address.port):
            message = "not the host that was checked"
            raise httpcore.ConnectError(message)
        deadline = time.monotonic() + (CONNECT_TIMEOUT_S if timeout is None else timeout)
        failure: Exception = httpcore.ConnectError("no address")
        for position, ip in enumerate(self._checked.ips):
            # Each later address keeps a share of the time, so one that swallows everything starves none.
            share = (deadline - time.monotonic()) / (len(self._checked.ips) - position)
            try:
                self._stream = await self._inner.connect_tcp(
                    ip, port, max(share, _LEAST_CONNECT_S), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return self._stream
        raise failure

    async def aclose(self) -> None:
        """Close the socket: httpcore forgets it where a TLS handshake is cancelled."""
        if self._stream is not None:
            await self._stream.aclose()

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the base class names it so
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: sockets of this machine are nobody's web server."""
        del path, timeout, socket_options
        message = "not a host"
        raise httpcore.ConnectError(message)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._inner.sleep(seconds)


class Outbound:
    """Makes exchanges with addresses that the guard lets through."""

    def __init__(
        self, guard: Guard, tls: ssl.SSLContext, network: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self._guard = guard
        self._tls = tls
        self._network = network or httpcore.AnyIOBackend()

    @asynccontextmanager
    async def exchange(
        self,
        address: WebAddress,
        headers: Mapping[str, str],
        *,
        body: bytes | None = None,
        timeout_s: float,
        https_only: bool = False,
    ) -> AsyncIterator[httpcore.Response]:
        """Ask an address and give the answer's head; its body is read from it, decoded by nobody.

        Args:
            address: whom to ask. A GET, or a POST where there is a body.
            headers: sent beside Host.
            body: what to post.
            timeout_s: longest wait for the answer's head, and then for the next bytes.
            https_only: refuse plain HTTP, but to hosts that the operator listed.

        Raises:
            Refused: the guard forbids it.
            Broken: there was no connection, or it ended.
        """
        checked = await self._guard.check(address, https_only=https_only)
        request = httpcore.Request(
            "GET" if body is None else "POST",
            httpcore.URL(
                scheme=address.scheme.encode(),
                host=address.host.encode(),
                port=address.port,
                target=address.target,
            ),
            headers=[("Host", address.authority), *headers.items()],
            content=body,
            extensions={
                "timeout": {
                    "connect": min(CONNECT_TIMEOUT_S, timeout_s),
                    "read": timeout_s,
                    "write": timeout_s,
                }
            },
        )
        backend = PinnedBackend(checked, self._network)
        connection = httpcore.AsyncHTTPConnection(
            request.url.origin, ssl_context=self._tls, network_backend=backend
        )
        try:
            response = await _head(connection, request, timeout_s)
            yield response
        except _FAILURES as error:
            raise _broken(error) from error
        finally:
            # Also where this task is being cancelled: no socket stays behind.
            with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
                await connection.aclose()
                await backend.aclose()


_FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ssl.SSLError, OSError)


def trusted_authorities(more: Path | None = None) -> ssl.SSLContext:
    """Return what servers' certificates are checked against.

    Args:
        more: a PEM file of authorities that the operator trusts as well.
    """
    context = ssl.create_default_context(cafile=certifi.where())
    if more is not None:
        context.load_verify_locations(cafile=more)
    return context


def header(response: httpcore.Response, name: str) -> str | None:
    """Return a header of an answer; the first where there are several."""
    wanted = name.lower().encode()
    found = next((value for key, value in response.headers if key.lower() == wanted), None)
    return None if found is None else found.decode("utf-8", "replace").strip()


async def _head(
    connection: httpcore.AsyncHTTPConnection, request: httpcore.Request, timeout_s: float
) -> httpcore.Response:
    try:
        # A time for all of it: each byte of a dripping head would start the connection's own timeouts anew.
        with anyio.fail_after(timeout_s):
            response = await connection.handle_async_request(request)
    except TimeoutError as error:
        reason = "the server does not answer"
        raise Broken(reason) from error
    if sum(len(name) + len(value) for name, value in response.headers) > MOST_HEADER_BYTES:
        raise Broken(_LARGE_HEADERS, lasting=True)
    return response


def _broken(error: Exception) -> Broken:
    if isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return Broken("the server's certificate is not trusted", lasting=True)
    if isinstance(error, httpcore.ConnectTimeout | httpcore.ConnectError):
        return Broken("the server cannot be reached")
    if isinstance(error, httpcore.TimeoutException):
        return Broken("the server stopped sending")
    if getattr(error.__cause__, "error_status_hint", None) == _TOO_LARGE:
        return Broken(_LARGE_HEADERS, lasting=True)
    if isinstance(error, httpcore.LocalProtocolError):
        return Broken("the address cannot be sent to a server", lasting=True)
    return Broken("the connection broke off")
