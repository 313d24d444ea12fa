"""Files of this machine on their way to a service, with a bar where somebody watches."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.client.parts import Sent
    from app.client.sync_client import Client


def address_of(client: Client, source: str) -> str:
    """Return where the service finds this: an address as it is, or a file that is sent now, in parts."""
    if "://" in source:
        return source
    with _bar() as moved:
        return client.uploads.send_file(Path(source), on_sent=moved).media_url


@contextmanager
def _bar() -> Iterator[Callable[[Sent], None]]:
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (TextColumn("sending"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, transient=True) as progress:
        bar = progress.add_task("sending", total=None)
        yield lambda sent: progress.update(bar, completed=sent.sent, total=sent.total)
