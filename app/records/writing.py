"""Keep a request: its picture, what was done with it, and what came of it.

    picture, result -> spool (this machine's disk, flushed) -> rows, many requests' in one transaction
                    -> the answer, and the objects move on to the storage

An answer that bears identifiers is safe from a kill right after it: its rows are committed and its bytes are
on the disk. What was not acknowledged leaves nothing behind.

Small pictures are written by the thread that then writes their rows: a change of threads for each would cost
more than the writing. Large ones come with their bytes on the disk, so that nobody waits behind them.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from app.db.group_commit import GroupCommit
from app.db.ids import new_id
from app.records.rows import Staged, insert_rows
from app.records.values import Saved
from app.storage.port import original_key, processed_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.db.engine import Database
    from app.records.values import NewImage, NewJob
    from app.storage.spooled import SpooledStore

LINGER_S = 0.0
SMALL_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Request:
    """What is to be kept, nothing of it written."""

    image: NewImage
    job: NewJob

    @property
    def size_bytes(self) -> int:
        return len(self.image.data) + len(self.job.processed or b"")


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(timezone.utc)


class RecordWriter:
    """Keeps requests.

    Args:
        now: the clock that says when they came.
    """

    def __init__(
        self,
        database: Database,
        store: SpooledStore,
        linger_s: float = LINGER_S,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._now = now
        self._database = database
        self._store = store
        self._group: GroupCommit[_Request | Staged, Staged] = GroupCommit(self._write, linger_s)
        self._saving: set[asyncio.Task[Staged]] = set()

    async def save(self, image: NewImage, job: NewJob) -> Saved:
        """Return when the request is safe.

        A client that hangs up meanwhile does not stop it half way.

        Raises:
            DependencyDown: the database is away, or the disk is full; nothing was kept.
        """
        begun = time.perf_counter()
        request = _Request(image, job)
        if request.size_bytes <= SMALL_BYTES and not self._store.waits_for_store:
            kept = await self._group.submit(request)
        else:
            saving = asyncio.create_task(self._save_apart(request))
            self._saving.add(saving)
            saving.add_done_callback(self._saving.discard)
            kept = await asyncio.shield(saving)
        return Saved(kept.image_id, kept.job_id, (time.perf_counter() - begun) * 1000)

    async def close(self) -> None:
        """Wait for what is being saved."""
        await asyncio.gather(*self._saving, return_exceptions=True)
        await self._group.close()

    async def _save_apart(self, request: _Request) -> Staged:
        (staged,) = await asyncio.to_thread(self._stage, [request])
        try:
            await self._store.settle(staged.files)
            return await self._group.submit(staged)
        except BaseException:
            self._store.leave(*staged.files)  # whether the commit went through may be unknown
            raise

    async def _write(self, batch: Sequence[_Request | Staged]) -> list[Staged]:
        """Commit the rows of many requests."""
        here: list[Staged] = []
        apart = [each for each in batch if isinstance(each, Staged)]

        def stage() -> None:
            here.extend(self._stage([each for each in batch if isinstance(each, _Request)]))

        try:
            kept = await self._database.write(lambda tx: insert_rows(tx, [*here, *apart]), stage)
        except BaseException:
            for staged in here:
                self._store.leave(*staged.files)
            raise
        for staged in (*here, *apart):
            # Bytes that are kept already, under another key, are not kept twice.
            staged.original.is_wanted = kept[staged.content_hash] == staged.original.key
            self._store.release(*staged.files)
        fresh = iter(here)
        return [each if isinstance(each, Staged) else next(fresh) for each in batch]

    def _stage(self, requests: Sequence[_Request]) -> list[Staged]:
        """Write the bytes of requests to the disk; this blocks."""
        now = self._now()
        ids = [(new_id(now), new_id(now)) for _ in requests]
        hashes = [hashlib.sha256(request.image.data).digest() for request in requests]
        pieces = []
        for request, (image_id, job_id), content_hash in zip(requests, ids, hashes, strict=True):
            pieces.append((original_key(content_hash, image_id, request.image.format), request.image.data))
            if request.job.processed is not None:
                key = processed_key(job_id, now, request.job.processed_format or "bin")
                pieces.append((key, request.job.processed))
        files = iter(self._store.stage(pieces))
        return [
            Staged(
                image_id,
                job_id,
                now,
                content_hash,
                request.image,
                request.job,
                original=next(files),
                processed=None if request.job.processed is None else next(files),
            )
            for request, (image_id, job_id), content_hash in zip(requests, ids, hashes, strict=True)
        ]
