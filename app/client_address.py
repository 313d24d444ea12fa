"""Where a request comes from, told apart from what it says of itself."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    from starlette.requests import Request

    from app.services import Services

#: What our own proxy puts on every request (`deployments.edge`), over whatever came with it.
EDGE_HEADER = "x-facefleet-client"
UNKNOWN = "unknown"


def client_address(request: Request, services: Services) -> str:
    """Return the address that a request counts for."""
    peer = request.client.host if request.client else UNKNOWN
    if services.is_behind_edge:
        peer = request.headers.get(EDGE_HEADER, peer)
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
    return behind_proxies(peer, forwarded, services.settings.trusted_proxies)


def behind_proxies(peer: str, forwarded_for: str, trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    """Return the nearest address that is no proxy of ours.

    Each proxy appends whom it was asked by, so the list is believed from its end, as far as trust goes: what
    a client puts in front of it changes nothing.
    """
    address = _parsed(peer)
    if address is None:
        return peer
    for part in reversed(forwarded_for.split(",")):
        if not any(address in network for network in trusted):
            break
        before = _parsed(part.strip())
        if before is None:
            break
        address = before
    return str(address)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
