"""Requests are kept, listed, counted and removed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from app.db.ids import new_id, parse_id
from app.db.tables import CleanupTaskRow, OriginalRow
from app.persistence import open_persistence
from app.records.cleanup import Cleanup
from app.records.deleting import RecordDeleter
from app.records.writing import RecordWriter
from pipelines.errors import DependencyDown
from tests.app.records.requests import detect, image, mask, read, until

if TYPE_CHECKING:
    from pathlib import Path

    from app.persistence import Persistence, PersistenceOptions, Storage
    from app.records.values import Actor


async def test_a_request_is_kept_whole(storage: Storage) -> None:
    """Picture, result and what was chosen come back as they were, the payload in its own order."""
    saved = await storage.writer.save(image(b"original"), mask(b"masked"))
    detail = await storage.reader.get_image(saved.image_id)
    assert detail is not None
    assert (detail.image.width, detail.image.height, detail.image.format) == (640, 480, "jpeg")
    assert detail.image.size_bytes == len(b"original")
    assert detail.image.job_count == 1
    assert [job.id for job in detail.jobs] == [saved.job_id]
    assert detail.image.processed_key == detail.jobs[0].processed_key
    assert detail.image.processed_key is not None
    assert await read(storage.objects, detail.image.original_key) == b"original"
    assert await read(storage.objects, detail.image.processed_key) == b"masked"
    assert saved.storage_ms > 0

    other = await storage.writer.save(image(b"other"), detect())
    job = await storage.reader.get_job(other.job_id)
    assert job is not None
    assert job.payload == detect().payload
    assert list(job.payload["summary"]) == ["z", "a"]
    assert job.job.options == detect().options
    assert (job.job.model, job.job.face_count, job.job.request_id) == ("yunet", 2, "request-1")
    assert job.job.processed_key is None


async def test_what_is_not_there_is_none(storage: Storage) -> None:
    """Identifiers that nobody made find nothing."""
    assert await storage.reader.get_image(new_id()) is None
    assert await storage.reader.get_job(new_id()) is None


@pytest.mark.parametrize(
    "trick", ["' OR 1=1 --", "1; DROP TABLE images", "../x", "", "null", "{" + "0" * 36 + "}"]
)
def test_tricks_are_no_identifiers(trick: str) -> None:
    """What is not an identifier never reaches a query."""
    assert parse_id(trick) is None


async def test_tricks_in_filters_find_nothing(storage: Storage) -> None:
    """A filter is compared, never run."""
    await storage.writer.save(image(), detect())
    for trick in ("' OR '1'='1", "detect'; DROP TABLE jobs; --", "%", "\x27"):
        assert (await storage.reader.list_jobs(1, 20, job_type=trick)).items == ()
        assert (await storage.reader.list_jobs(1, 20, method=trick)).items == ()
    assert (await storage.reader.list_jobs(1, 20)).total == 1


async def test_lists_are_newest_first_and_complete(storage: Storage) -> None:
    """All pages together hold each image once, from whichever end the database walked."""
    saved = [await storage.writer.save(image(str(number).encode()), detect()) for number in range(11)]
    newest_first = [one.image_id for one in reversed(saved)]
    pages = [await storage.reader.list_images(number, 3) for number in range(1, 6)]
    assert [item.id for page in pages for item in page.items] == newest_first
    assert {(page.total, page.pages) for page in pages} == {(11, 4)}
    assert [len(page.items) for page in pages] == [3, 3, 3, 2, 0]
    far = await storage.reader.list_images(10**18, 100)
    assert (far.items, far.total) == ((), 11)


async def test_an_empty_list_has_one_empty_page(storage: Storage) -> None:
    """Nothing is page one of one."""
    page = await storage.reader.list_images(1, 20)
    assert (page.items, page.total, page.pages) == ((), 0, 1)


async def test_jobs_are_filtered(storage: Storage) -> None:
    """Type and method narrow the list, its total and its pages."""
    await storage.writer.save(image(b"1"), detect())
    blurred = await storage.writer.save(image(b"2"), mask(method="gaussian"))
    black = await storage.writer.save(image(b"3"), mask(method="solid"))
    jobs = storage.reader.list_jobs
    assert [job.id for job in (await jobs(1, 20, "mask")).items] == [black.job_id, blurred.job_id]
    solid = await jobs(1, 20, "mask", "solid")
    assert ([job.id for job in solid.items], solid.total) == ([black.job_id], 1)
    assert [job.id for job in (await jobs(1, 20, None, "gaussian")).items] == [blurred.job_id]
    neither = await jobs(1, 20, "detect", "solid")
    assert (neither.items, neither.total) == ((), 0)


async def test_totals_follow_every_change(storage: Storage, admin: Actor) -> None:
    """Totals are what counting would give, after writing, repeating and deleting."""
    first = await storage.writer.save(image(b"same"), detect(faces=3))
    await storage.writer.save(image(b"same"), mask(b"12345"))
    stats = await storage.reader.stats()
    assert (stats.images, stats.jobs, stats.faces) == (2, 2, 4)
    assert (stats.image_bytes, stats.original_bytes, stats.processed_bytes) == (8, 4, 5)
    assert stats.jobs_by_type == {"detect": 1, "mask": 1}
    assert stats.jobs_by_method == {"gaussian": 1}
    assert await storage.deleter.delete_image(first.image_id, admin)
    stats = await storage.reader.stats()
    assert (stats.images, stats.jobs, stats.faces) == (1, 1, 1)
    assert (stats.image_bytes, stats.original_bytes, stats.processed_bytes) == (4, 4, 5)


async def test_identical_originals_are_stored_once_and_for_as_long_as_needed(
    storage: Storage, admin: Actor
) -> None:
    """Two uploads of the same bytes share one object, which goes with the last of them."""
    first, second = await asyncio.gather(
        storage.writer.save(image(b"same"), detect()), storage.writer.save(image(b"same"), detect())
    )
    one, two = [await storage.reader.get_image(saved.image_id) for saved in (first, second)]
    assert one is not None
    assert two is not None
    assert one.image.id != two.image.id
    assert one.image.original_key == two.image.original_key
    key = one.image.original_key
    await storage.deleter.delete_image(first.image_id, admin)
    assert await read(storage.objects, key) == b"same"
    await storage.deleter.delete_image(second.image_id, admin)
    assert not await storage.objects.exists(key)


async def test_a_repeated_original_leaves_no_second_copy(storage: Storage, tmp_path: Path) -> None:
    """Small or large, in one commit or one after the other: on the disk and in the storage there is one."""
    large = b"large" * 300_000
    for data in (b"small", large):
        await asyncio.gather(*(storage.writer.save(image(data), detect()) for _ in range(3)))
        await storage.writer.save(image(data), detect())

    async def is_moved() -> bool:
        return not any((tmp_path / "spool").iterdir())

    await until(is_moved)
    stats = await storage.reader.stats()
    assert (stats.images, stats.original_bytes) == (8, 5 + len(large))
    if (tmp_path / "objects").exists():
        sizes = sorted(path.stat().st_size for path in (tmp_path / "objects").rglob("*") if path.is_file())
        assert sizes == [5, len(large)]


async def test_an_original_that_comes_back_gets_another_name(storage: Storage, admin: Actor) -> None:
    """So a removal that is still under way cannot hit it."""
    first = await storage.writer.save(image(b"same"), detect())
    before = await storage.reader.get_image(first.image_id)
    await storage.deleter.delete_image(first.image_id, admin)
    again = await storage.writer.save(image(b"same"), detect())
    after = await storage.reader.get_image(again.image_id)
    assert before is not None
    assert after is not None
    assert before.image.original_key != after.image.original_key
    assert await read(storage.objects, after.image.original_key) == b"same"


async def test_deleting_removes_rows_and_objects(
    persistence: Persistence, storage: Storage, admin: Actor
) -> None:
    """Nothing of the image is left, but a note of who removed it."""
    saved = await storage.writer.save(image(), mask())
    detail = await storage.reader.get_image(saved.image_id)
    assert detail is not None
    assert await storage.deleter.delete_image(saved.image_id, admin)
    assert await storage.reader.get_image(saved.image_id) is None
    assert await storage.reader.get_job(saved.job_id) is None
    assert not await storage.objects.exists(detail.image.original_key)
    assert detail.image.processed_key is not None
    assert not await storage.objects.exists(detail.image.processed_key)
    assert (await storage.reader.stats()).cleanup_pending == 0
    assert not await storage.deleter.delete_image(saved.image_id, admin)
    noted = await persistence.audit.list()
    assert [(entry.who, entry.action, entry.subject, entry.address) for entry in noted] == [
        ("admin", "image.delete", str(saved.image_id), "192.0.2.1")
    ]


async def test_saving_and_deleting_the_same_bytes_at_once(storage: Storage, admin: Actor) -> None:
    """Whatever order they come in: each image that is left has its bytes, and nothing waits for ever."""
    images = [(await storage.writer.save(image(b"same"), detect())).image_id for _ in range(5)]
    for _ in range(8):
        _, saved = await asyncio.gather(
            asyncio.gather(*(storage.deleter.delete_image(one, admin) for one in images)),
            asyncio.gather(*(storage.writer.save(image(b"same"), detect()) for _ in range(5))),
        )
        images = [one.image_id for one in saved]
    details = [await storage.reader.get_image(one) for one in images]
    assert len(details) == 5
    for detail in details:
        assert detail is not None
        assert await read(storage.objects, detail.image.original_key) == b"same"
    assert (await storage.reader.stats()).original_bytes == 4


async def test_many_requests_share_commits_and_none_is_lost(
    persistence: Persistence, storage: Storage
) -> None:
    """Two hundred at once are all kept, each under its own names."""
    saved = await asyncio.gather(
        *(storage.writer.save(image(str(number % 150).encode()), detect(faces=1)) for number in range(200))
    )
    assert len({one.image_id for one in saved}) == 200
    stats = await storage.reader.stats()
    assert (stats.images, stats.faces) == (200, 200)
    async with persistence.database.read() as tx:
        counts = (await tx.scalars(select(OriginalRow.image_count))).all()
    assert (len(counts), sum(counts)) == (150, 200)


async def test_one_bad_request_does_not_fail_its_neighbours(storage: Storage) -> None:
    """A row that the database refuses fails alone, and leaves nothing."""
    bad = replace(detect(), payload={"a": object()})
    outcomes = await asyncio.gather(
        storage.writer.save(image(b"1"), detect()),
        storage.writer.save(image(b"2"), bad),
        storage.writer.save(image(b"3"), detect()),
        return_exceptions=True,
    )
    assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, True, False]
    assert (await storage.reader.stats()).images == 2


async def test_a_client_that_hangs_up_does_not_stop_half_way(storage: Storage) -> None:
    """Its request is kept whole or not at all."""
    saving = asyncio.create_task(storage.writer.save(image(), mask()))
    await asyncio.sleep(0)
    saving.cancel()
    await asyncio.gather(saving, return_exceptions=True)
    await storage.writer.close()
    page = await storage.reader.list_images(1, 20)
    for item in page.items:
        assert await read(storage.objects, item.original_key) == b"a picture"


async def test_retention_removes_what_is_too_old(persistence: Persistence, storage: Storage) -> None:
    """Images past their days go, with objects and totals; younger ones stay."""
    long_ago = datetime.now(timezone.utc) - timedelta(days=30)
    past = RecordWriter(persistence.database, storage.objects, now=lambda: long_ago)
    old = [await past.save(image(f"old {number}".encode()), mask()) for number in range(3)]
    young = await storage.writer.save(image(b"young"), detect())
    details = [await storage.reader.get_image(one.image_id) for one in old]
    assert await storage.deleter.delete_older_than(timedelta(days=31)) == 0
    assert await storage.deleter.delete_older_than(timedelta(days=29)) == 3
    for detail in details:
        assert detail is not None
        assert not await storage.objects.exists(detail.image.original_key)
    page = await storage.reader.list_images(1, 20)
    assert [item.id for item in page.items] == [young.image_id]
    assert (await storage.reader.stats()).processed_bytes == 0


async def test_retention_spares_bytes_that_a_younger_image_shares(
    options: PersistenceOptions, admin: Actor
) -> None:
    """By itself, at a start: old rows and masks go; an original stays as long as one image needs it."""
    long_ago = datetime.now(timezone.utc) - timedelta(days=8)
    async with open_persistence(options) as opened:
        assert opened.storage is not None
        past = RecordWriter(opened.database, opened.storage.objects, now=lambda: long_ago)
        old = await past.save(image(b"same"), mask(b"masked then"))
        young = await opened.storage.writer.save(image(b"same"), mask(b"masked now"))
        before = await opened.storage.reader.get_image(old.image_id)
    assert before is not None
    async with open_persistence(replace(options, retention_days=7)) as opened:
        assert opened.storage is not None
        await opened.maintenance.run()
        storage = opened.storage
        assert await storage.reader.get_image(old.image_id) is None
        assert await storage.reader.get_job(old.job_id) is None
        left = await storage.reader.get_image(young.image_id)
        assert left is not None
        assert left.image.original_key == before.image.original_key
        assert await read(storage.objects, left.image.original_key) == b"same"
        assert left.image.processed_key is not None
        assert await read(storage.objects, left.image.processed_key) == b"masked now"
        assert before.image.processed_key is not None
        assert not await storage.objects.exists(before.image.processed_key)
        stats = await storage.reader.stats()
        assert (stats.images, stats.jobs, stats.original_bytes, stats.cleanup_pending) == (1, 1, 4, 0)
        await storage.deleter.delete_image(young.image_id, admin)
        assert not await storage.objects.exists(left.image.original_key)


class AwayStore:
    """An object storage that does not answer."""

    async def delete(self, key: str) -> None:
        """Fail."""
        message = f"cannot remove {key[:9]}"
        raise DependencyDown(message)


async def test_cleanup_that_fails_is_kept_and_tried_again(
    persistence: Persistence, storage: Storage, admin: Actor
) -> None:
    """An object that cannot be removed now stays on the list, with the reason, until it is gone."""
    saved = await storage.writer.save(image(), detect())
    detail = await storage.reader.get_image(saved.image_id)
    assert detail is not None
    failing = Cleanup(persistence.database, AwayStore())
    assert await RecordDeleter(persistence.database, failing).delete_image(saved.image_id, admin)
    assert await storage.reader.get_image(saved.image_id) is None
    assert (await storage.reader.stats()).cleanup_pending == 1

    assert await storage.cleanup.run_due() == 0  # not yet: it failed just now
    await _make_due(persistence)
    assert await failing.run_due() == 0
    async with persistence.database.read() as tx:
        row = (await tx.execute(select(CleanupTaskRow.attempts, CleanupTaskRow.last_error))).one()
    assert tuple(row) == (2, "cannot remove originals")

    await _make_due(persistence)
    await persistence.maintenance.run()
    assert (await storage.reader.stats()).cleanup_pending == 0
    assert not await storage.objects.exists(detail.image.original_key)


async def _make_due(persistence: Persistence) -> None:
    """Turn the clock of the list back."""
    async with persistence.database.transaction() as tx:
        await tx.execute(update(CleanupTaskRow).values(next_try_at=datetime.now(timezone.utc)))
