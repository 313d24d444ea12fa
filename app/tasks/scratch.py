"""Folders for media that is being worked on. Each process has its own, and holds a lock on it while it lives.

The lock goes with the process, however that ends: whoever starts next removes what the dead have left.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK = "lock"


class Scratch:
    """The folder of this process.

    Args:
        root: where all processes of this machine have theirs.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._own = root / f"{os.getpid()}-{secrets.token_hex(6)}"
        self._lock: int | None = None

    def open(self) -> None:
        """Make the folder, and remove those of dead processes."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Under the root's lock no other process can take a folder for dead that is only being made.
        with _locked(self._root / _LOCK):
            self._own.mkdir(mode=0o700)
            self._lock = os.open(self._own / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            for folder in self._root.iterdir():
                if folder != self._own and folder.is_dir() and _is_dead(folder):
                    shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self._own, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give an empty folder, and remove it afterwards."""
        made = self._own / secrets.token_hex(8)
        made.mkdir(mode=0o700)
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_dead(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
