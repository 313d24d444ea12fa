"""A scratch file that grows, never beyond its limit, and is gone again unless it became whole."""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from app.intake.port import MEBIBYTE
from pipelines.errors import DependencyDown, MediaTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import BinaryIO

    from typing_extensions import Self

    from app.intake.port import FetchLimits

BLOCK_BYTES = MEBIBYTE


class ScratchFile:
    """Takes bytes in pieces; blocks of them are written and hashed on a thread while the next ones come."""

    def __init__(
        self, path: Path, limits: FetchLimits, on_progress: Callable[[int, int | None], None]
    ) -> None:
        self._path = path
        self._limits = limits
        self._on_progress = on_progress
        self._waiting = bytearray()
        self._writing: tuple[asyncio.Task[None], int] | None = None
        self._written = 0
        self._hash = hashlib.sha256()
        self._whole = False
        self._stream: BinaryIO | None = None
        self.total: int | None = None

    async def __aenter__(self) -> Self:
        await _on_disk(self._open)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Without an await: it must happen even while this task is being cancelled. Closing waits for a
        # block that a thread is still writing.
        if self._writing is not None:
            self._writing[0].cancel()
        with suppress(OSError):
            self._close()
        if not self._whole:
            self._path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """How many bytes have been taken."""
        under_way = 0 if self._writing is None else self._writing[1]
        return self._written + under_way + len(self._waiting)

    def expect(self, total: int | None) -> None:
        """Note how many bytes there will be, refusing too many before the first.

        Raises:
            MediaTooLarge: more than the limit.
        """
        if total is not None and total > self._limits.max_bytes:
            raise self._too_large()
        self.total = total

    async def add(self, piece: bytes) -> None:
        """Take bytes.

        Raises:
            MediaTooLarge: they are too many by now.
            DependencyDown: the disk is full.
        """
        if self.size + len(piece) > self._limits.max_bytes:
            raise self._too_large()
        self._waiting += piece
        if len(self._waiting) >= BLOCK_BYTES:
            await self._write()

    async def restart(self) -> None:
        """Forget all bytes."""
        await self._landed()
        self._waiting.clear()
        self.total = None
        if self._written:
            await _on_disk(self._empty)

    async def finish(self) -> str:
        """Keep the file and return its SHA-256 in hex."""
        await self._write()
        await self._landed()
        await _on_disk(self._close)
        self._whole = True
        return self._hash.hexdigest()

    async def _write(self) -> None:
        await self._landed()
        block = bytes(self._waiting)
        self._waiting.clear()
        self._writing = asyncio.create_task(_on_disk(lambda: self._append(block))), len(block)

    async def _landed(self) -> None:
        """Wait until the block before is on the disk: no more than one is under way."""
        if self._writing is None:
            return
        task, size = self._writing
        await task
        self._writing = None
        self._written += size
        self._on_progress(self._written, self.total)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self._path.open("wb")

    def _append(self, block: bytes) -> None:
        stream = self._opened()
        disk = os.fstatvfs(stream.fileno())
        if disk.f_bavail * disk.f_frsize - len(block) < self._limits.keep_free_bytes:
            raise _disk_full()
        stream.write(block)
        self._hash.update(block)

    def _empty(self) -> None:
        stream = self._opened()
        stream.seek(0)
        stream.truncate()
        self._hash = hashlib.sha256()
        self._written = 0

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _opened(self) -> BinaryIO:
        if self._stream is None:
            message = "the scratch file is not open"
            raise RuntimeError(message)
        return self._stream

    def _too_large(self) -> MediaTooLarge:
        return MediaTooLarge(f"The media has more than {self._limits.max_bytes} bytes.")


async def _on_disk(work: Callable[[], None]) -> None:
    """Do what waits for the disk on a thread, and call a full or broken disk our own trouble."""
    try:
        await asyncio.to_thread(work)
    except OSError as error:
        raise _disk_full() from error


def _disk_full() -> DependencyDown:
    return DependencyDown("insufficient storage", 30)
