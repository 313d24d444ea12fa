"""Keep a request: its picture, what was done with it, and what came of it.

    picture, result -> spool (this machine's disk, flushed) -> rows, many requests' in one transaction
                    -> the answer, and the objects move on to the storage

An answer that bears identifiers is safe from a kill right after it: its rows are committed and its bytes are
on the disk. What was not acknowledged leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from app.db.group_commit import GroupCommit
from app.db.ids import new_id
from app.db.tables import ImageRow, JobRow, OriginalRow
from app.db.upsert import insert_for
from app.records import tallies
from app.records.values import Saved
from app.storage.port import original_key, processed_key

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from app.db.engine import Database
    from app.records.values import NewImage, NewJob
    from app.storage.spool import SpooledFile
    from app.storage.spooled import SpooledStore

LINGER_S = 0.002


@dataclass(frozen=True, slots=True)
class _Staged:
    """One request, its bytes on the disk, its rows not yet written."""

    image_id: uuid.UUID
    job_id: uuid.UUID
    created_at: datetime
    content_hash: bytes
    image: NewImage
    job: NewJob
    original: SpooledFile
    processed: SpooledFile | None


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
        self._group = GroupCommit(self._write, linger_s)
        self._saving: set[asyncio.Task[Saved]] = set()

    async def save(self, image: NewImage, job: NewJob) -> Saved:
        """Return when the request is safe.

        A client that hangs up meanwhile does not stop it half way.

        Raises:
            DependencyDown: the database is away, or the disk is full; nothing was kept.
        """
        saving = asyncio.create_task(self._save(image, job))
        self._saving.add(saving)
        saving.add_done_callback(self._saving.discard)
        return await asyncio.shield(saving)

    async def close(self) -> None:
        """Wait for what is being saved."""
        await asyncio.gather(*self._saving, return_exceptions=True)
        await self._group.close()

    async def _save(self, image: NewImage, job: NewJob) -> Saved:
        begun = time.perf_counter()
        staged = await self._stage(image, job)
        try:
            kept_key = await self._group.submit(staged)
        except BaseException:
            # Whether the commit went through may be unknown: the sweep asks the database later.
            for spooled in (staged.original, staged.processed):
                if spooled is not None:
                    self._store.leave(spooled)
            raise
        if kept_key == staged.original.key:
            self._store.release(staged.original)
        else:
            await self._store.discard(staged.original)  # these very bytes are kept already
        if staged.processed is not None:
            self._store.release(staged.processed)
        return Saved(staged.image_id, staged.job_id, (time.perf_counter() - begun) * 1000)

    async def _stage(self, image: NewImage, job: NewJob) -> _Staged:
        now = self._now()
        image_id, job_id = new_id(now), new_id(now)
        digest = hashlib.sha256()

        def name_original() -> str:
            digest.update(image.data)
            return original_key(digest.digest(), image_id, image.format)

        original = await self._store.stage(name_original, image.data)
        processed = None
        if job.processed is not None:
            key = processed_key(job_id, now, job.processed_format or "bin")
            try:
                processed = await self._store.stage(lambda: key, job.processed)
            except BaseException:
                await self._store.discard(original)
                raise
        return _Staged(image_id, job_id, now, digest.digest(), image, job, original, processed)

    async def _write(self, batch: Sequence[_Staged]) -> list[str]:
        """Commit the rows of many requests and tell under which key each one's picture is kept."""
        kept = await self._database.write(lambda connection: _insert(connection, batch))
        return [kept[staged.content_hash] for staged in batch]


def _insert(connection: Connection, batch: Sequence[_Staged]) -> dict[bytes, str]:
    kept = _count_originals(connection, batch)
    connection.execute(insert(ImageRow), [_image_row(staged) for staged in batch])
    connection.execute(insert(JobRow), [_job_row(staged) for staged in batch])
    tallies.add_here(connection, _changes(batch, kept))
    return kept


def _count_originals(connection: Connection, batch: Sequence[_Staged]) -> dict[bytes, str]:
    """Note one more use of each picture, and return the key of the copy that is used.

    In the order of their hashes, which is the same for all who lock these rows.
    """
    first: dict[bytes, _Staged] = {}
    for staged in batch:
        first.setdefault(staged.content_hash, staged)
    uses = Counter(staged.content_hash for staged in batch)
    rows = [
        {
            "content_hash": content_hash,
            "object_key": first[content_hash].original.key,
            "size_bytes": len(first[content_hash].image.data),
            "image_count": uses[content_hash],
        }
        for content_hash in sorted(first)
    ]
    statement = insert_for(connection.dialect, OriginalRow)
    kept = connection.execute(
        statement.on_conflict_do_update(
            index_elements=[OriginalRow.content_hash],
            set_={"image_count": OriginalRow.image_count + statement.excluded.image_count},
        ).returning(OriginalRow.content_hash, OriginalRow.object_key),
        rows,
    )
    return dict(kept.all())


def _changes(batch: Sequence[_Staged], kept: dict[bytes, str]) -> Counter[str]:
    changes: Counter[str] = Counter()
    for staged in batch:
        size = len(staged.image.data)
        changes[tallies.IMAGES] += 1
        changes[tallies.IMAGE_BYTES] += size
        changes[tallies.FACES] += staged.job.face_count
        changes[tallies.jobs_name(staged.job.job_type, staged.job.method)] += 1
        changes[tallies.PROCESSED_BYTES] += len(staged.job.processed or b"")
        if kept[staged.content_hash] == staged.original.key:
            changes[tallies.ORIGINAL_BYTES] += size
    return changes


def _image_row(staged: _Staged) -> dict[str, Any]:
    image = staged.image
    return {
        "id": staged.image_id,
        "content_hash": staged.content_hash,
        "format": image.format,
        "width": image.width,
        "height": image.height,
        "size_bytes": len(image.data),
        "created_at": staged.created_at,
        "api_key_id": staged.job.api_key_id,
    }


def _job_row(staged: _Staged) -> dict[str, Any]:
    job, processed = staged.job, staged.processed
    return {
        "id": staged.job_id,
        "image_id": staged.image_id,
        "job_type": job.job_type,
        "method": job.method,
        "options": dict(job.options),
        "model": job.model,
        "face_count": job.face_count,
        "payload": dict(job.payload),
        "processed_key": processed.key if processed else None,
        "processed_bytes": processed.size_bytes if processed else None,
        "inference_ms": job.inference_ms,
        "total_ms": job.total_ms,
        "request_id": job.request_id,
        "created_at": staged.created_at,
        "api_key_id": job.api_key_id,
    }
