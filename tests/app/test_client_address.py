"""Which address a request counts for."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.client_address import behind_proxies

OURS = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.1,198.51.100.1 , 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.1, nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
        ("unknown", "198.51.100.1", "unknown"),
    ],
)
def test_the_nearest_address_that_is_no_proxy_counts(peer: str, forwarded: str, address: str) -> None:
    """The list is believed from its end, as far as trusted proxies go."""
    assert behind_proxies(peer, forwarded, OURS) == address


@given(st.text(), st.ip_addresses(v=4))
def test_nobody_chooses_his_own_address(invented: str, peer: object) -> None:
    """Whatever a client that is no proxy says of itself, its own address counts."""
    assert behind_proxies(f"{peer}", invented, ()) == f"{peer}"
