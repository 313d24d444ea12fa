"""Files on their way: on this machine's disk already, not yet in the object storage.

    stage: bytes on the disk, locked by this process    the rows are not committed yet
    release: the rows are committed                     -> moved to the storage, then gone from here
    discard: the rows were not committed                -> gone

So an answer waits for this machine's disk, never for the storage. A lock on the file says that its process
lives and will see to it. Files without one are what a killed process left: the database tells whether they
were acknowledged, and they are moved or removed (`app.storage.spooled`).
"""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.storage.port import checked_key, storage_down

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

YOUNG_S = 5.0  # between its creation and its lock, a file of a living process looks left behind
_SLASH = "+"  # cannot occur in a key


@dataclass(slots=True)
class SpooledFile:
    """A file that this process has locked.

    Attributes:
        is_stored: the object storage has it already.
        is_wanted: False once it is known that no row names it.
    """

    key: str
    path: Path
    size_bytes: int
    descriptor: int
    age_s: float = 0.0
    is_stored: bool = False
    is_wanted: bool = True

    def let_go(self) -> None:
        """Give the lock back; whoever finds the file then may see to it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def remove(self) -> None:
        """Remove the file, then its lock."""
        self.path.unlink(missing_ok=True)
        self.let_go()


class Spool:
    """The folder. All of this blocks; callers bring a thread.

    Args:
        folder: on a disk that outlives the process.
        max_bytes: beyond this the storage has been away for too long, and nothing more is taken.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._used_bytes = 0
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def stage(self, pieces: Sequence[tuple[str, bytes]]) -> list[SpooledFile]:
        """Write files and flush them to the disk: all, or none.

        Args:
            pieces: keys and bytes.

        Raises:
            DependencyDown: the spool is full.
            OSError: the disk is.
        """
        if self._used_bytes + sum(len(data) for _, data in pieces) > self._max_bytes:
            raise storage_down()
        files: list[SpooledFile] = []
        try:
            for key, data in pieces:
                files.append(self._create(key, len(data)))
                _write_all(files[-1].descriptor, data)
            # After all are written: the first flush takes the names of all to the disk.
            for spooled in files:
                os.fsync(spooled.descriptor)
        except BaseException:
            for spooled in files:
                spooled.remove()
            raise
        self._used_bytes += sum(spooled.size_bytes for spooled in files)
        return files

    def _create(self, key: str, size_bytes: int) -> SpooledFile:
        path = self.path(key)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return SpooledFile(key, path, size_bytes, descriptor)

    def remove(self, *files: SpooledFile) -> None:
        """Remove files that are safe elsewhere, or that nobody wants."""
        for spooled in files:
            spooled.remove()
            self._used_bytes -= spooled.size_bytes

    def path(self, key: str) -> Path:
        """Return where the file of this key is while it is here."""
        return self.folder / checked_key(key).replace("/", _SLASH)

    def left_behind(self, limit: int) -> list[SpooledFile]:
        """Lock and return files that no living process sees to, and count what they hold."""
        found: list[SpooledFile] = []
        total = 0
        oldest_young = time.time() - YOUNG_S
        with os.scandir(self.folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue
                total += status.st_size
                if len(found) < limit and status.st_mtime < oldest_young:
                    spooled = self._try_lock(entry.name)
                    if spooled is not None:
                        found.append(spooled)
        self._used_bytes = total  # those of other processes as well
        return found

    def _try_lock(self, name: str) -> SpooledFile | None:
        path = self.folder / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if status.st_nlink == 0:  # its owner finished between our looking and our locking
            os.close(descriptor)
            return None
        age_s = time.time() - status.st_mtime
        return SpooledFile(name.replace(_SLASH, "/"), path, status.st_size, descriptor, age_s)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
