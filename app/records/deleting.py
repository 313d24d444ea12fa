"""Remove images: one that an administrator points at, or all that are too old.

Rows, totals and the list of objects to remove change in one transaction; the objects are tried right after.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from app.db.ids import first_id_at
from app.db.tables import ImageRow, JobRow, OriginalRow
from app.records import tallies
from app.records.audit import write_audit
from app.records.cleanup import register

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from app.db.engine import Database, Writing
    from app.records.cleanup import Cleanup
    from app.records.values import Actor

TOGETHER = 200


class RecordDeleter:
    """Removes images with all that belongs to them."""

    def __init__(self, database: Database, cleanup: Cleanup) -> None:
        self._database = database
        self._cleanup = cleanup

    async def delete_image(self, image_id: uuid.UUID, actor: Actor) -> bool:
        """Remove an image, its jobs and their objects; tell whether there was one.

        An object that cannot be removed now stays registered and is tried again.
        """
        async with self._database.transaction() as tx:
            count, keys = await _delete(tx, [image_id])
            if count:
                await write_audit(tx, actor, "image.delete", str(image_id))
        await self._cleanup.try_now(keys)
        return count > 0

    async def delete_older_than(self, age: timedelta) -> int:
        """Remove images that came before then, and tell how many."""
        border = first_id_at(datetime.now(timezone.utc) - age)
        old = select(ImageRow.id).where(ImageRow.id < border).order_by(ImageRow.id).limit(TOGETHER)
        removed = 0
        while True:
            async with self._database.transaction() as tx:
                ids = (await tx.scalars(old)).all()
                count, keys = await _delete(tx, ids)
            await self._cleanup.try_now(keys)
            removed += count
            if len(ids) < TOGETHER:
                return removed


async def _delete(tx: Writing, ids: Sequence[uuid.UUID]) -> tuple[int, list[str]]:
    """Remove rows, and return how many images went and which objects nobody names any more.

    Rows are locked in one order, so two of us (and those who save) cannot wait for each other.
    """
    images = (
        await tx.execute(
            select(ImageRow.id, ImageRow.content_hash, ImageRow.size_bytes)
            .where(ImageRow.id.in_(ids))
            .order_by(ImageRow.id)
            .with_for_update()
        )
    ).all()
    if not images:
        return 0, []
    found = [image.id for image in images]
    jobs = (
        await tx.execute(
            delete(JobRow)
            .where(JobRow.image_id.in_(found))
            .returning(
                JobRow.job_type,
                JobRow.method,
                JobRow.face_count,
                JobRow.processed_key,
                JobRow.processed_bytes,
            )
        )
    ).all()
    await tx.execute(delete(ImageRow).where(ImageRow.id.in_(found)))
    freed = await _release_originals(tx, Counter(image.content_hash for image in images))
    keys = [*freed, *(job.processed_key for job in jobs if job.processed_key)]
    await register(tx, keys)

    changes: Counter[str] = Counter()
    changes[tallies.IMAGES] -= len(images)
    changes[tallies.IMAGE_BYTES] -= sum(image.size_bytes for image in images)
    changes[tallies.ORIGINAL_BYTES] -= sum(freed.values())
    for job in jobs:
        changes[tallies.jobs_name(job.job_type, job.method)] -= 1
        changes[tallies.FACES] -= job.face_count
        changes[tallies.PROCESSED_BYTES] -= job.processed_bytes or 0
    await tallies.add(tx, changes)
    return len(images), keys


async def _release_originals(tx: Writing, uses: Counter[bytes]) -> dict[str, int]:
    """Note fewer uses of originals; return the keys and sizes of those that no image uses any more."""
    originals = (
        await tx.execute(
            select(
                OriginalRow.content_hash,
                OriginalRow.object_key,
                OriginalRow.size_bytes,
                OriginalRow.image_count,
            )
            .where(OriginalRow.content_hash.in_(uses))
            .order_by(OriginalRow.content_hash)
            .with_for_update()
        )
    ).all()
    freed = {}
    for original in originals:
        is_this = OriginalRow.content_hash == original.content_hash
        left = original.image_count - uses[original.content_hash]
        if left > 0:
            await tx.execute(update(OriginalRow).where(is_this).values(image_count=left))
        else:
            await tx.execute(delete(OriginalRow).where(is_this))
            freed[original.object_key] = original.size_bytes
    return freed
