"""The rows that a request leaves, and how those of many requests are written at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from app.db.tables import ImageRow, JobRow, OriginalRow
from app.db.upsert import DIALECTS, insert_for
from app.records import tallies

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Dialect, Insert

    from app.db.bulk import Bulk
    from app.records.values import NewImage, NewJob
    from app.storage.spool import SpooledFile


@dataclass(frozen=True, slots=True)
class Staged:
    """One request, its bytes on the disk, its rows not yet written."""

    image_id: uuid.UUID
    job_id: uuid.UUID
    created_at: datetime
    content_hash: bytes
    image: NewImage
    job: NewJob
    original: SpooledFile
    processed: SpooledFile | None

    @property
    def files(self) -> list[SpooledFile]:
        """Return its bytes on the disk."""
        return [self.original] if self.processed is None else [self.original, self.processed]


def _keep_original(dialect: Dialect) -> Insert:
    """Note one more use of a picture, and return the key of the copy that is used."""
    statement = insert_for(dialect, OriginalRow)
    return statement.on_conflict_do_update(
        index_elements=[OriginalRow.content_hash],
        set_={"image_count": OriginalRow.image_count + statement.excluded.image_count},
    ).returning(OriginalRow.content_hash, OriginalRow.object_key)


_KEEP_ORIGINAL = {dialect.name: _keep_original(dialect) for dialect in DIALECTS}
_KEEP_IMAGE = insert(ImageRow)
_KEEP_JOB = insert(JobRow)


def insert_rows(tx: Bulk, batch: Sequence[Staged]) -> dict[bytes, str]:
    """Write the rows, and return by content hash the key under which each picture is kept."""
    kept: dict[bytes, str] = dict(tx.run_returning(_KEEP_ORIGINAL[tx.dialect.name], _original_rows(batch)))
    tx.run(_KEEP_IMAGE, [_image_row(staged) for staged in batch])
    tx.run(_KEEP_JOB, [_job_row(staged) for staged in batch])
    tallies.add_here(tx, _changes(batch, kept))
    return kept


def _original_rows(batch: Sequence[Staged]) -> list[dict[str, Any]]:
    """Return a row for each picture, in the order of their hashes: the same for all who lock these rows."""
    first: dict[bytes, Staged] = {}
    for staged in batch:
        first.setdefault(staged.content_hash, staged)
    uses = Counter(staged.content_hash for staged in batch)
    return [
        {
            "content_hash": content_hash,
            "object_key": first[content_hash].original.key,
            "size_bytes": len(first[content_hash].image.data),
            "image_count": uses[content_hash],
        }
        for content_hash in sorted(first)
    ]


def _changes(batch: Sequence[Staged], kept: dict[bytes, str]) -> Counter[str]:
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


def _image_row(staged: Staged) -> dict[str, Any]:
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


def _job_row(staged: Staged) -> dict[str, Any]:
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
