"""Put together what connects to addresses that callers name, from what the operator chose."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.net.allowing import AllowList
from app.net.guard import Guard, SystemResolver
from app.net.pinned import Outbound, trusted_authorities

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@contextmanager
def open_outbound(allow: Iterable[str] = (), ca_file: Path | None = None) -> Iterator[Outbound]:
    """Give what makes connections, and let its threads go at the end.

    Args:
        allow: hosts and networks that the operator opens.
        ca_file: PEM file of certificate authorities that are trusted beside the public ones.
    """
    resolver = SystemResolver()
    try:
        yield Outbound(Guard(AllowList.read(allow), resolver), trusted_authorities(ca_file))
    finally:
        resolver.close()
