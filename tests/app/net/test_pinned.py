"""Connections go to the addresses that were checked, and names stay what certificates are checked against."""

from __future__ import annotations

import ssl
from ipaddress import ip_address
from typing import TYPE_CHECKING

import httpcore
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.net.addresses import is_public
from app.net.allowing import AllowList
from app.net.guard import Guard, Refused
from app.net.pinned import Broken, Outbound, header, trusted_authorities
from app.net.urls import BadAddress, read_address
from tests.fakes.hostile_server import OPENED, Names, answer, head, hostile_server, whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import trustme


def outbound(names: Names, tls: ssl.SSLContext | None = None) -> Outbound:
    """Return an outbound that may reach the test's servers."""
    allow = AllowList.read([OPENED, "127.0.0.3"])
    return Outbound(Guard(allow, names), tls or ssl.create_default_context())


async def body_of(out: Outbound, url: str, timeout_s: float = 5) -> bytes:
    """Return what an address answers."""
    async with out.exchange(read_address(url), {"Connection": "close"}, timeout_s=timeout_s) as response:
        return await response.aread()


def server_side(authority: trustme.CA, *names: str) -> tuple[ssl.SSLContext, list[str | None]]:
    """Return a server's side of TLS, and the list where it notes the names that clients ask for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    return context, asked


async def test_the_name_is_not_looked_up_again() -> None:
    """A name that points elsewhere after the check does not lead elsewhere."""
    async with hostile_server() as server, hostile_server("127.0.0.1") as inside:
        server.on("/x", whole(b"outside"))
        names = Names(media_example=[[OPENED], ["127.0.0.1"]])
        url = f"http://media.example:{server.port}/x?sig=%2f+%20"
        assert await body_of(outbound(names), url) == b"outside"
        assert (names.asked, inside.connections) == (["media.example"], 0)
        assert server.requests[0].headers["host"] == f"media.example:{server.port}"
        assert server.requests[0].target == "/x?sig=%2f+%20"
        with pytest.raises(Refused):
            await body_of(outbound(names), url)


async def test_certificates_are_checked_against_the_name(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    """Connected by number, the server still hears the name and proves that it has it."""
    tls, asked = server_side(authority, "media.example")
    async with hostile_server(tls=tls) as server:
        server.on("/", whole(b"secure"))
        names = Names(media_example=[[OPENED]], other_example=[[OPENED]])
        assert await body_of(outbound(names, trusting), f"https://media.example:{server.port}/") == b"secure"
        assert asked == ["media.example"]
        with pytest.raises(Broken, match="certificate") as broken:
            await body_of(outbound(names, trusting), f"https://other.example:{server.port}/")
        assert broken.value.lasting
        assert len(server.requests) == 1


async def test_numbers_need_certificates_too(authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    """An address in the URL is checked against the addresses in the certificate."""
    for names, works in (((OPENED,), True), (("media.example",), False)):
        tls, _ = server_side(authority, *names)
        async with hostile_server(tls=tls) as server:
            server.on("/", whole(b"secure"))
            url = f"https://{OPENED}:{server.port}/"
            if works:
                assert await body_of(outbound(Names(), trusting), url) == b"secure"
            else:
                with pytest.raises(Broken, match="certificate"):
                    await body_of(outbound(Names(), trusting), url)


async def test_unknown_authorities_are_not_trusted(authority: trustme.CA, tmp_path: Path) -> None:
    """A certificate of somebody's own is refused, unless the operator's file names its authority."""
    tls, _ = server_side(authority, "media.example")
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    async with hostile_server(tls=tls) as server:
        server.on("/", whole(b"secure"))
        names = Names(media_example=[[OPENED]])
        url = f"https://media.example:{server.port}/"
        with pytest.raises(Broken, match="certificate"):
            await body_of(outbound(names, trusted_authorities()), url)
        assert await body_of(outbound(names, trusted_authorities(file)), url) == b"secure"


async def test_a_server_without_tls_is_given_up() -> None:
    """One that waits for something else than a handshake is given up in time, its socket closed."""
    async with hostile_server() as server:
        with pytest.raises(Broken):
            await body_of(outbound(Names()), f"https://{OPENED}:{server.port}/", timeout_s=0.2)


async def test_all_checked_addresses_are_tried() -> None:
    """Where the first address does not answer, the next one does."""
    async with hostile_server() as server:
        server.on("/", whole(b"second"))
        names = Names(media_example=[["127.0.0.3", OPENED]])
        assert await body_of(outbound(names), f"http://media.example:{server.port}/") == b"second"


async def test_proxies_of_the_environment_take_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would look the name up again: it is not asked."""
    async with hostile_server() as server, hostile_server() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://{OPENED}:{proxy.port}")
        server.on("/", whole(b"direct"))
        assert await body_of(outbound(Names()), f"http://{OPENED}:{server.port}/") == b"direct"
        assert proxy.connections == 0


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n" + b"".join(b"X%d: yyyyy\r\n" % number for number in range(7000)) + b"\r\n"],
        [b"HTTP/1.1 200 OK\r\nX: ", b"x" * 200_000],
    ],
    ids=["one long header", "many headers", "a header without an end"],
)
async def test_huge_headers_are_refused(pieces: list[bytes]) -> None:
    """Headers are cut off before they fill the memory."""
    async with hostile_server() as server:
        server.on("/", answer(*pieces, forever=len(pieces) > 1))
        with pytest.raises(Broken, match="headers are too large"):
            await body_of(outbound(Names()), f"http://{OPENED}:{server.port}/")


@pytest.mark.parametrize(
    ("pieces", "forever"),
    [
        ([], False),
        ([b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n"], True),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], True),
    ],
    ids=["silence", "headers one by one", "endless interim answers"],
)
async def test_heads_have_a_time(pieces: list[bytes], forever: bool) -> None:  # noqa: FBT001 - a table
    """A server that never gets to the point is given up."""
    async with hostile_server() as server:
        server.on("/", answer(*pieces, pause_s=0.05, forever=forever, hang=True))
        with pytest.raises(Broken, match=r"does not answer|stopped sending"):
            await body_of(outbound(Names()), f"http://{OPENED}:{server.port}/", timeout_s=0.3)


async def test_nonsense_is_no_answer() -> None:
    """A server that speaks something else breaks the exchange, and leaves no socket behind."""
    async with hostile_server() as server:
        server.on("/", answer(b"220 mail.example ESMTP\r\n"))
        with pytest.raises(Broken):
            await body_of(outbound(Names()), f"http://{OPENED}:{server.port}/")


async def test_the_first_of_two_headers_counts() -> None:
    """Names of headers are compared in any case."""
    async with hostile_server() as server:
        server.on("/", answer(head(204, x_thing="a", X_Thing="b")))
        address = read_address(f"http://{OPENED}:{server.port}/")
        async with outbound(Names()).exchange(address, {}, timeout_s=5) as response:
            assert header(response, "X-THING") == "a"
            assert header(response, "none") is None


class _Recorder(httpcore.AsyncNetworkBackend):
    """Notes where connections would go, and makes none."""

    def __init__(self) -> None:
        self.connected: list[str] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Note the address."""
        del port, timeout, local_address, socket_options
        self.connected.append(host)
        message = "not really"
        raise httpcore.ConnectError(message)


class _EveryName:
    """Says that every name is the same public server."""

    async def __call__(self, host: str, port: int) -> list[str]:
        """Answer."""
        del host, port
        return ["8.8.8.8"]


_HOSTS = st.one_of(
    st.lists(
        st.sampled_from(
            ["127.0.0.1", "a.example", "[::1]", "@", ":", "\\", "/", "#", "?", "%", "0x7f", "。", "1."]
        ),
        min_size=1,
        max_size=6,
    ).map("".join),
    st.ip_addresses().map(lambda ip: f"[{ip}]" if ip.version == 6 else str(ip)),
    st.integers(0, 2**32).map(str),
)
_TLS = ssl.create_default_context()


@settings(max_examples=300)
@given(_HOSTS)
async def test_no_accepted_host_connects_elsewhere(host: str) -> None:
    """However a host is written, a connection goes to what its name was found to be, or to that number."""
    network = _Recorder()
    out = Outbound(Guard(AllowList(), _EveryName()), _TLS, network)
    try:
        address = read_address(f"http://{host}/")
        async with out.exchange(address, {}, timeout_s=1):
            pass
    except (BadAddress, Refused):
        assert network.connected == []
    except Broken:
        assert network.connected in (["8.8.8.8"], [address.host])
        assert all(is_public(ip_address(ip)) for ip in network.connected)
