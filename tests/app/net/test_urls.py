"""Reading web addresses so that nobody can read them otherwise."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.net.urls import BadAddress, follow, read_address

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "target"),
    [
        ("https://example.com", "https", "example.com", 443, b"/"),
        ("HTTP://Example.COM:8080/A%2fb?x=%20#part", "http", "example.com", 8080, b"/A%2fb?x=%20"),
        ("https://example.com.:443/", "https", "example.com", 443, b"/"),
        ("https://example.com?x", "https", "example.com", 443, b"/?x"),
        ("https://[2606:4700::0001]:8443/", "https", "2606:4700::1", 8443, b"/"),
        ("https://8.8.8.8/", "https", "8.8.8.8", 443, b"/"),
        ("https://bücher.example/ü b", "https", "xn--bcher-kva.example", 443, b"/%C3%BC%20b"),
        ("https://my_bucket.s3.example/", "https", "my_bucket.s3.example", 443, b"/"),
    ],
)
def test_addresses_are_read(text: str, scheme: str, host: str, port: int, target: bytes) -> None:
    """What browsers accept is read as they read it; path and query stay as they are."""
    address = read_address(text)
    assert (address.scheme, address.host, address.port, address.target) == (scheme, host, port, target)


def test_a_presigned_address_keeps_every_byte() -> None:
    """A signature is over the query as it stands: nothing in it is decoded, sorted or encoded anew."""
    target = (
        "/a//b/../video%20(1)+~.mp4?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20260101%2fs3"
        "&X-Amz-Signature=0aF&b=2&a=1&&empty=&x='!*;,|{}[]\"<>^`"
    )
    address = read_address(f"https://bucket.s3.amazonaws.com{target}")
    assert address.target == target.encode()
    assert "Signature" not in repr(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https:/example.com",
        "https:///example.com",
        "https://",
        "https://:443/",
        " https://example.com",
        "https://example.com/\n",
        "https://exa\tmple.com/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/a\\b",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://example.com:80@127.0.0.1/",
        "https://example.com%2f@127.0.0.1/",
        "https://%31%32%37.0.0.1/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:99999999999999999999/",
        "https://example.com:8o/",
        "https://example.com:-1/",
        "https://example..com/",
        "https://.example.com/",
        "https://-example.com/",
        "https://exa mple.com/",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 127}example/",
        f"https://example.com/{'a' * 8192}",
        "https://[::1",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[::1]x/",
        "https://::1/",
    ],
)
def test_what_is_ambiguous_is_refused(text: str) -> None:
    """An address that two programs could read differently is none."""
    with pytest.raises(BadAddress):
        read_address(text)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.1.1",
        "256.1.1.1",
        "1.2.3.0x",
        "example.0x7f",
        "127。0。0。1".replace("1", "01"),
        "0",
    ],
)
def test_numbers_in_odd_forms_are_refused(host: str) -> None:
    """Decimal, octal, hexadecimal and shortened IPv4 addresses are refused, not guessed."""
    with pytest.raises(BadAddress):
        read_address(f"http://{host}/")


def test_look_alike_digits_become_digits() -> None:
    """Digits of other scripts and odd full stops are read as what a resolver would make of them."""
    assert read_address("http://\uff11\uff12\uff17。0。0。1/").host == "127.0.0.1"


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("/b?c", "https://example.com:8443/b?c"),
        ("//other.example/x", "https://other.example/x"),
        ("http://other.example/x?s=%2F", "http://other.example/x?s=%2F"),
        ("c", "https://example.com:8443/a/c"),
        ("?d", "https://example.com:8443/a/b?d"),
    ],
)
def test_redirects_lead_where_browsers_go(location: str, text: str) -> None:
    """Absolute, rooted and relative locations are followed."""
    assert follow(read_address("https://example.com:8443/a/b?q"), location).text == text


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "javascript:alert(1)", "http://u:p@x/", "/\\evil.example", "//", "\n/x"],
)
def test_redirects_to_elsewhere_are_refused(location: str) -> None:
    """A redirect may only lead to a clean web address."""
    with pytest.raises(BadAddress):
        follow(read_address("https://example.com/"), location)


_PIECES = st.sampled_from(
    [
        *("http://", "https://", "example.com", "127.0.0.1", "[::1]", "@", ":", ":80", "\\", "/", "//"),
        *("?", "#", "%2f", "%40", "%00", "\t", "\n", " ", ".", "0x7f.1", "ü", "。", "\uff0e", "\u2100"),
        *("x", "1", "[", "]", ";"),
    ]
)
_NASTY = st.one_of(
    st.lists(_PIECES, max_size=9).map("".join),
    st.lists(_PIECES, max_size=7).map(lambda pieces: "http://" + "".join(pieces)),
    st.text(max_size=30).map(lambda text: f"http://{text}"),
)


@settings(max_examples=500)
@given(_NASTY)
@example("http://example.com\\@127.0.0.1/")
@example("http://º")
@example("http://1.1.1.1&@2.2.2.2#@3.3.3.3/")
def test_other_readers_see_the_same_host(text: str) -> None:
    """Whatever is accepted, two other URL readers find the same host and port in it."""
    try:
        address = read_address(text)
    except BadAddress:
        return
    for hostname, port in _other_readings(text):
        if hostname.isascii():
            assert hostname.removesuffix(".") in (address.host, _unabridged(text))
        assert (port or {"http": 80, "https": 443}[address.scheme]) == address.port


def _other_readings(text: str) -> Iterator[tuple[str, int | None]]:
    """Give host and port as others read them; httpx refuses some host names that browsers take."""
    parts = urlsplit(text)
    assert parts.hostname is not None
    yield parts.hostname, parts.port
    with suppress(httpx.InvalidURL):
        url = httpx.URL(text.replace(" ", "%20"))
        yield url.raw_host.decode(), url.port


def _unabridged(text: str) -> str:
    """Return an IPv6 host as it is written, which may be longer than as it is read."""
    return text.lower().partition("[")[2].partition("]")[0]
