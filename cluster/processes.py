"""The processes of one service, found by the mark that its start left in their environment.

Ray's own `ray stop` ends every Ray on the machine; services with different homes must not end each other.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Every process of a service has its home's path here, inherited from the start.
MARK = "FACEFLEET_SERVICE"


def marked(mark: str) -> list[psutil.Process]:
    """Return the running processes that bear this mark, without this one and its ancestors."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for process in psutil.process_iter() if process.pid not in own and _has(process, mark)]


def end(processes: Iterable[psutil.Process], grace_s: float) -> None:
    """Ask the processes to end, and make those that are still there after the grace time."""
    alive = list(processes)
    for process in alive:
        _signalled(process, psutil.Process.terminate)
    _, alive = psutil.wait_procs(alive, timeout=grace_s)
    for process in alive:
        _signalled(process, psutil.Process.kill)
    psutil.wait_procs(alive, timeout=5)


def end_marked(mark: str, grace_s: float = 5.0, patience_s: float = 30.0) -> int:
    """End every process with the mark, also those that are started meanwhile; return how many are left."""
    deadline = time.monotonic() + patience_s
    while (left := marked(mark)) and time.monotonic() < deadline:
        end(left, grace_s)
    return len(left)


def _has(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def _signalled(process: psutil.Process, send: object) -> None:
    try:
        send(process)  # type: ignore[operator]  # one of psutil.Process's own methods
    except psutil.NoSuchProcess:
        return
