"""Which IP addresses are the public internet's."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.net.addresses import is_in_a_site, is_metadata, is_public
from app.net.allowing import AllowList


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "93.184.215.14", "100.128.0.1", "2606:4700::1111"])
def test_public_addresses(text: str) -> None:
    """Servers of the internet are public."""
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.1",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.1.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "::ffff:127.0.0.1",
        "::8.8.8.8",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "2001:20::1",
        "5f00::1",
    ],
)
def test_addresses_that_are_not_public(text: str) -> None:
    """Private, shared, local, reserved, tunnelled and disguised addresses are not."""
    assert not is_public(ip_address(text))


@given(st.ip_addresses())
def test_public_means_public_to_python_too(address: object) -> None:
    """Our lists never call public what Python's own do not."""
    known = ip_address(str(address))
    assert not is_public(known) or (known.is_global and not known.is_multicast)
    assert not (is_metadata(known) and (is_public(known) or is_in_a_site(known)))


ALLOW = AllowList.read(
    ["minio", "*.corp.example", "10.1.0.0/16", "100.64.0.0/10", "169.254.170.2", "[fd00::5]"]
)


@pytest.mark.parametrize(
    ("host", "address", "permitted"),
    [
        ("minio", "172.18.0.2", True),
        ("minio", "127.0.0.1", True),
        ("minio", "::1", True),
        ("minio", "169.254.169.254", False),
        ("minio", "169.254.1.1", False),
        ("minio", "fe80::1", False),
        ("minio", "::ffff:10.0.0.1", False),
        ("minio", "0.0.0.9", False),
        ("minio", "168.63.129.16", False),
        ("a.corp.example", "10.9.9.9", True),
        ("a.b.corp.example", "10.9.9.9", True),
        ("corp.example", "10.9.9.9", False),
        ("evilcorp.example", "10.9.9.9", False),
        ("minio.evil.example", "10.9.9.9", False),
        ("any.example", "10.1.2.3", True),
        ("any.example", "10.2.0.1", False),
        ("any.example", "::ffff:10.1.2.3", False),
        ("any.example", "100.64.0.9", True),
        ("any.example", "100.100.100.200", False),
        ("any.example", "169.254.170.2", True),
        ("any.example", "fd00::5", True),
        ("any.example", "8.8.8.8", True),
    ],
)
def test_operators_open_what_they_name(host: str, address: str, permitted: bool) -> None:  # noqa: FBT001 - a table
    """Names open sites, networks open addresses, and neither opens metadata services by the way."""
    assert ALLOW.permits(host, ip_address(address)) is permitted


@pytest.mark.parametrize(
    "entry", ["10.0.0.1/8", "300.1.1.1", "http://minio", "minio:9000", "*", "a b", "", "-x"]
)
def test_senseless_openings_are_refused(entry: str) -> None:
    """An entry that would open nothing, or something else than it seems, stops the start."""
    with pytest.raises(ValueError, match=r"no host|no network"):
        AllowList.read([entry])
