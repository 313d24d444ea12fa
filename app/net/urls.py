"""Web addresses read once, strictly, into the parts that a connection is made from.

Nothing reads the text a second time, so no two readers can see two hosts in it. The path and query stay
byte for byte as they came: signatures of storages are over them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote, urljoin

import idna

#: Reasons, which callers read.
_TOO_LONG = "the address is too long"
_ODD_CHARACTERS = "the address contains characters that do not belong there"
_NOT_WEB = "only http and https addresses can be fetched"
BAD_REDIRECT = "the server redirects to an address that cannot be fetched"
_HAS_USER = "an address with a user name or password is not accepted"
_NO_HOST = "the address names no valid host"
_NO_PORT = "the address names no valid port"
_ODD_NUMBERS = "a numeric host must be written as four decimal numbers"

LONGEST_URL = 8192
PORTS = {"http": 80, "https": 443}

_WEB = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?:#.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]*))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
# Browsers take a backslash for a slash, and drop tabs and line breaks; other readers do neither.
_AMBIGUOUS = re.compile(r"[\x00-\x1f\x7f-\x9f\\]")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_LONGEST_NAME = 253
_LARGEST_PORT = 65535


class BadAddress(ValueError):
    """The text is no address that this service connects to; `reason` may be shown to the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where to connect and what to ask for there.

    Attributes:
        scheme: `http` or `https`.
        host: a name in lower-case ASCII, or an IP address without brackets.
        port: given or usual.
        target: path and query as they go over the wire. They may hold a signature, so they do not show.
    """

    scheme: str
    host: str
    port: int
    target: bytes = field(repr=False)

    @property
    def authority(self) -> str:
        """The text of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def text(self) -> str:
        """The whole address, signatures included: not for logs."""
        return f"{self.scheme}://{self.authority}{self.target.decode('ascii')}"


def read_address(text: str) -> WebAddress:
    """Read an http or https address.

    Raises:
        BadAddress: it is not one, or different programs could take it for different ones.
    """
    if len(text) > LONGEST_URL:
        raise BadAddress(_TOO_LONG)
    if _AMBIGUOUS.search(text) or text != text.strip():
        raise BadAddress(_ODD_CHARACTERS)
    found = _WEB.fullmatch(text)
    if found is None:
        raise BadAddress(_NOT_WEB)
    scheme = found["scheme"].lower()
    host, port = _read_authority(found["authority"])
    return WebAddress(scheme, host, PORTS[scheme] if port is None else port, _read_target(found["target"]))


def follow(base: WebAddress, location: str) -> WebAddress:
    """Return where a redirect from `base` leads.

    Raises:
        BadAddress: nowhere that may be connected to.
    """
    if _AMBIGUOUS.search(location) or len(location) > LONGEST_URL:
        raise BadAddress(BAD_REDIRECT)
    if _SCHEME.match(location):
        return read_address(location)
    if location.startswith("//"):
        return read_address(f"{base.scheme}:{location}")
    origin = f"{base.scheme}://{base.authority}"
    if location.startswith("/"):
        return read_address(f"{origin}{location}")
    return read_address(urljoin(base.text, location))


def _read_authority(authority: str) -> tuple[str, int | None]:
    if "@" in authority:
        raise BadAddress(_HAS_USER)
    found = _AUTHORITY.fullmatch(authority)
    if found is None or not found["host"]:
        raise BadAddress(_NO_HOST)
    return _read_host(found["host"]), _read_port(found["port"])


def _read_port(digits: str | None) -> int | None:
    if not digits:
        return None
    port = int(digits[:6])
    if not 0 < port <= _LARGEST_PORT:
        raise BadAddress(_NO_PORT)
    return port


def _read_host(host: str) -> str:
    if host.startswith("["):
        return _read_ipv6(host[1:-1])
    name = _ascii_name(host).removesuffix(".")
    labels = name.split(".")
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadAddress(_NO_HOST)
    if _NUMBER.fullmatch(labels[-1]):
        # Some programs read 0177.1, 0x7f000001 and 2130706433 as 127.0.0.1.
        return _read_ipv4(name)
    return name


def _ascii_name(host: str) -> str:
    if host.isascii():
        return host.lower()
    if len(host) > _LONGEST_NAME:
        raise BadAddress(_NO_HOST)
    try:
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise BadAddress(_NO_HOST) from None


def _read_ipv4(name: str) -> str:
    try:
        return str(IPv4Address(name))
    except ValueError:
        raise BadAddress(_ODD_NUMBERS) from None


def _read_ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        raise BadAddress(_NO_HOST) from None
    if address.scope_id is not None:
        raise BadAddress(_NO_HOST)
    return str(address)


def _read_target(text: str) -> bytes:
    """Return path and query as they are, but for characters that cannot travel in a request line."""
    target = text if text.startswith("/") else f"/{text}"
    safe = "".join(chr(code) for code in range(0x21, 0x7F))
    return quote(target, safe=safe).encode("ascii")
