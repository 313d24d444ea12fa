"""Look at what is kept: pages of images and jobs, one of them in detail, totals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, union_all

from app.db.tables import CleanupTaskRow, ImageRow, JobRow, OriginalRow
from app.records import tallies
from app.records.paging import page_of_ids, walk_to
from app.records.values import ImageDetail, JobDetail, Page, Stats, StoredImage, StoredJob

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

    from sqlalchemy import Row, Select

    from app.db.engine import Database

JOBS_OF_AN_IMAGE = 100

_JOB_COLUMNS = (
    JobRow.id,
    JobRow.image_id,
    JobRow.job_type,
    JobRow.method,
    JobRow.options,
    JobRow.model,
    JobRow.face_count,
    JobRow.processed_key,
    JobRow.processed_bytes,
    JobRow.inference_ms,
    JobRow.total_ms,
    JobRow.request_id,
    JobRow.created_at,
    JobRow.api_key_id,
)


class RecordReader:
    """Answers questions; changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_images(self, page: int, per_page: int) -> Page[StoredImage]:
        """Return a page of images, newest first."""
        async with self._database.read() as tx:
            total = (await tallies.totals(tx))[tallies.IMAGES]
            ids = page_of_ids(ImageRow.id, walk_to(page, per_page, total))
            rows = await tx.execute(_images().join(ids, ids.c.id == ImageRow.id).order_by(ImageRow.id.desc()))
            return Page(tuple(_image(row) for row in rows), total, page, per_page)

    async def list_jobs(
        self, page: int, per_page: int, job_type: str | None = None, method: str | None = None
    ) -> Page[StoredJob]:
        """Return a page of jobs, newest first, of one type and method where those are given."""
        async with self._database.read() as tx:
            total = tallies.count_jobs(await tallies.totals(tx), job_type, method)
            ids = page_of_ids(JobRow.id, walk_to(page, per_page, total), among=_filtered(job_type, method))
            rows = await tx.execute(
                select(*_JOB_COLUMNS).join(ids, ids.c.id == JobRow.id).order_by(JobRow.id.desc())
            )
            return Page(tuple(_job(row) for row in rows), total, page, per_page)

    async def get_image(self, image_id: uuid.UUID) -> ImageDetail | None:
        """Return an image with its newest jobs."""
        async with self._database.read() as tx:
            image = (await tx.execute(_images().where(ImageRow.id == image_id))).one_or_none()
            if image is None:
                return None
            jobs = await tx.execute(
                select(*_JOB_COLUMNS)
                .where(JobRow.image_id == image_id)
                .order_by(JobRow.id.desc())
                .limit(JOBS_OF_AN_IMAGE)
            )
            return ImageDetail(_image(image), tuple(_job(row) for row in jobs))

    async def get_job(self, job_id: uuid.UUID) -> JobDetail | None:
        """Return a job with the answer it gave."""
        async with self._database.read() as tx:
            row = (
                await tx.execute(select(*_JOB_COLUMNS, JobRow.payload).where(JobRow.id == job_id))
            ).one_or_none()
            return None if row is None else JobDetail(_job(row), row.payload)

    async def stats(self) -> Stats:
        """Return the totals."""
        async with self._database.read() as tx:
            total = await tallies.totals(tx)
            pending = await tx.scalar(select(func.count()).select_from(CleanupTaskRow))
        by_type: dict[str, int] = {"detect": 0, "mask": 0}
        by_method: dict[str, int] = {}
        for name, amount in total.items():
            if name.startswith(tallies.JOBS):
                job_type, _, method = name.removeprefix(tallies.JOBS).partition(".")
                by_type[job_type] = by_type.get(job_type, 0) + amount
                if method:
                    by_method[method] = amount
        return Stats(
            images=total[tallies.IMAGES],
            jobs=sum(by_type.values()),
            faces=total[tallies.FACES],
            image_bytes=total[tallies.IMAGE_BYTES],
            original_bytes=total[tallies.ORIGINAL_BYTES],
            processed_bytes=total[tallies.PROCESSED_BYTES],
            jobs_by_type=by_type,
            jobs_by_method=by_method,
            cleanup_pending=pending or 0,
        )

    async def named_objects(self, keys: Collection[str]) -> set[str]:
        """Return those of these objects that images or jobs still name."""
        if not keys:
            return set()
        originals = select(OriginalRow.object_key).where(OriginalRow.object_key.in_(keys))
        processed = select(JobRow.processed_key).where(JobRow.processed_key.in_(keys))
        return set(await self._database.ask(union_all(originals, processed)))


def _images() -> Select[Any]:
    of_image = JobRow.image_id == ImageRow.id
    job_count = select(func.count()).where(of_image).correlate(ImageRow).scalar_subquery()
    newest_processed = (
        select(JobRow.processed_key)
        .where(of_image, JobRow.processed_key.is_not(None))
        .order_by(JobRow.id.desc())
        .limit(1)
        .correlate(ImageRow)
        .scalar_subquery()
    )
    return select(
        ImageRow.id,
        ImageRow.content_hash,
        OriginalRow.object_key.label("original_key"),
        newest_processed.label("processed_key"),
        ImageRow.format,
        ImageRow.width,
        ImageRow.height,
        ImageRow.size_bytes,
        job_count.label("job_count"),
        ImageRow.created_at,
        ImageRow.api_key_id,
    ).join(OriginalRow, OriginalRow.content_hash == ImageRow.content_hash)


def _filtered(job_type: str | None, method: str | None) -> Select[uuid.UUID]:
    """Select jobs by one index: a method belongs to one type, so together they ask what the method asks."""
    query = select(JobRow.id)
    if method is not None:
        return query.where(JobRow.method == method)
    return query if job_type is None else query.where(JobRow.job_type == job_type)


def _image(row: Row[Any]) -> StoredImage:
    values = row._asdict()
    return StoredImage(**{**values, "content_hash": values["content_hash"].hex()})


def _job(row: Row[Any]) -> StoredJob:
    return StoredJob(**{column.key: getattr(row, column.key) for column in _JOB_COLUMNS})
