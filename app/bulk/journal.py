"""What a job has done: lines of JSON that are only ever added, safe on disk when `write` returns.

Lines that come together are written together: one fsync for all of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines; a last one that was cut off by a crash is none."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        for line in stream:
            if not line.endswith(b"\n"):
                return
            yield json.loads(line)


class Journal:
    """The journal of a running job; `open` it within the event loop."""

    def __init__(self, path: Path) -> None:
        self._stream: BinaryIO = _opened(path)
        self._lines: list[bytes] = []
        self._written: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    async def write(self, event: str, row: int, **facts: Any) -> None:  # noqa: ANN401 - JSON
        """Add a line and return when it is on disk."""
        line = {"event": event, "row": row, "at": round(time.time(), 3), **facts}
        self._lines.append(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
        waiting = self._written
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        # Whoever gives up waiting does not take the others' line with him.
        await asyncio.shield(waiting)

    async def close(self) -> None:
        """Write what waits, and close."""
        if self._writer is not None:
            await self._writer
        self._stream.close()

    async def _write_all(self) -> None:
        while self._lines and (waiting := self._written) is not None:
            lines, self._lines, self._written = self._lines, [], None
            try:
                await asyncio.to_thread(self._put, b"".join(lines))
            except OSError as error:
                waiting.set_exception(error)
                waiting.exception()  # there may be nobody left who reads it
            else:
                waiting.set_result(None)

    def _put(self, data: bytes) -> None:
        self._stream.write(data)
        self._stream.flush()
        os.fsync(self._stream.fileno())


def _opened(path: Path) -> BinaryIO:
    """Open a journal for more lines, without the piece of one that a crash left."""
    stream = path.open("a+b")
    end = stream.seek(0, os.SEEK_END)
    kept = end
    while kept:
        begin = max(0, kept - 4096)
        stream.seek(begin)
        at = stream.read(kept - begin).rfind(b"\n")
        if at >= 0:
            kept = begin + at + 1
            break
        kept = begin
    if kept < end:
        stream.truncate(kept)
    return stream
