"""What an operator opens of the own network: `minio`, `*.corp.example`, `10.1.0.0/16`, `fd00::5`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

from app.net.addresses import is_in_a_site, is_metadata, is_public

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.net.addresses import IpAddress, IpNetwork

_NAME = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?", re.ASCII)
_LOOKS_NUMERIC = re.compile(r"[0-9.]+|.*[:/].*")


@dataclass(frozen=True, slots=True)
class AllowList:
    """Hosts and networks that count as public.

    Attributes:
        hosts: exact names.
        suffixes: `.corp.example` for every name under it.
        networks: addresses. A single one may be anything; a wider network never opens metadata services.
    """

    hosts: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()
    networks: tuple[IpNetwork, ...] = ()

    @classmethod
    def read(cls, entries: Iterable[str]) -> AllowList:
        """Read the operator's entries.

        Raises:
            ValueError: one is neither a host nor a network.
        """
        hosts, suffixes, networks = [], [], []
        for entry in entries:
            text = entry.strip().lower()
            if _LOOKS_NUMERIC.fullmatch(text):
                networks.append(_network(text))
            elif not _NAME.fullmatch(text):
                message = (
                    f"{entry!r} is no host and no network: say it like minio, *.corp.example, 10.1.0.0/16"
                )
                raise ValueError(message)
            elif text.startswith("*."):
                suffixes.append(text[1:])
            else:
                hosts.append(text)
        return cls(frozenset(hosts), tuple(suffixes), tuple(networks))

    def names(self, host: str) -> bool:
        """Tell whether the operator named this host."""
        return host in self.hosts or host.endswith(self.suffixes)

    def lists(self, address: IpAddress) -> bool:
        """Tell whether the operator listed this address itself."""
        return any(
            address in network and (network.num_addresses == 1 or not is_metadata(address))
            for network in self.networks
        )

    def opens(self, host: str, address: IpAddress) -> bool:
        """Tell whether it was the operator who said that this may be connected to."""
        return self.lists(address) or (self.names(host) and is_in_a_site(address))

    def permits(self, host: str, address: IpAddress) -> bool:
        """Tell whether a host may be connected to at this address of it."""
        return is_public(address) or self.opens(host, address)


def _network(text: str) -> IpNetwork:
    try:
        return ip_network(text.removeprefix("[").removesuffix("]"))
    except ValueError as error:
        message = f"{text!r} is no network: {error}"
        raise ValueError(message) from error
