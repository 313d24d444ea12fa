"""What was acknowledged survives: kills, a storage that goes away, a disk that is full, a late database."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from pydantic import SecretStr

from app.persistence import PersistenceOptions, open_persistence
from app.storage.spooled import DOUBT_S
from pipelines.errors import DependencyDown
from tests.app.records.requests import detect, image, mask, read, until
from tests.app.storage.conftest import s3_place
from tests.servers import Postgres, S3Server

if TYPE_CHECKING:
    from pathlib import Path

    from app.persistence import Persistence, Storage
    from app.records.values import Actor

SAVE_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from app.persistence import PersistenceOptions, open_persistence
from tests.app.records.requests import image, mask

async def save(writer, number):
    while True:
        data = f"picture {number}".encode() * (150_000 if number % 4 == 0 else 1000)
        saved = await writer.save(image(data), mask(data[::-1]))
        print(saved.image_id, number, flush=True)
        number += 8

async def main():
    async with open_persistence(PersistenceOptions(home=Path(sys.argv[1]))) as opened:
        await asyncio.gather(*(save(opened.storage.writer, number) for number in range(8)))

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """Each identifier that a client saw before `kill -9` leads to its picture and its result afterwards.

    Small pictures and large ones, which are written in different ways.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SAVE_FOR_EVER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(40)]
    process.send_signal(signal.SIGKILL)
    lines += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()

    async with open_persistence(PersistenceOptions(home=tmp_path)) as opened:
        assert opened.storage is not None
        for line in lines:
            if not line.endswith(b"\n"):
                continue  # the kill cut it short
            image_id, number = line.decode().split()
            detail = await opened.storage.reader.get_image(UUID(image_id))
            assert detail is not None, "an acknowledged image is gone"
            data = f"picture {number}".encode() * (150_000 if int(number) % 4 == 0 else 1000)
            assert await read(opened.storage.objects, detail.image.original_key) == data
            assert detail.image.processed_key is not None
            assert await read(opened.storage.objects, detail.image.processed_key) == data[::-1]
        for path in (tmp_path / "spool").iterdir():  # as if the kill were long ago
            os.utime(path, (0, time.time() - DOUBT_S - 1))
        await opened.storage.objects.sweep()
        assert list((tmp_path / "spool").iterdir()) == []
        kept = {path.name for path in (tmp_path / "objects").rglob("*") if path.is_file()}
        page = await opened.storage.reader.list_images(1, 100)
        assert page.total <= 100
        named = {
            key.rpartition("/")[2]
            for item in page.items
            for key in (item.original_key, item.processed_key or "")
        }
        assert kept == named, "bytes that no row names were left behind"


async def test_bytes_of_an_unacknowledged_request_are_removed(storage: Storage, tmp_path: Path) -> None:
    """A file without a row, which a killed process left, is removed once it is old; a young one waits."""
    left = tmp_path / "spool" / "originals+ab+left.jpeg"
    left.write_bytes(b"face of somebody")
    await storage.objects.sweep()
    assert left.exists()
    os.utime(left, (0, time.time() - DOUBT_S + 30))
    await storage.objects.sweep()
    assert left.exists()
    os.utime(left, (0, time.time() - DOUBT_S - 1))
    assert await storage.objects.sweep() == 1
    assert not left.exists()


async def test_a_storage_that_goes_away_is_not_felt(tmp_path: Path, admin: Actor) -> None:
    """While S3 is away requests are kept and read here; once it is back, all of it arrives there."""
    server = S3Server()
    server.start()
    place = s3_place(server)
    async with open_persistence(PersistenceOptions(home=tmp_path, s3=place)) as opened:
        storage = opened.storage
        assert storage is not None
        before = await storage.writer.save(image(b"before"), detect())
        await until(lambda: _spool_is_empty(tmp_path))
        server.stop()

        during = await storage.writer.save(image(b"during"), mask(b"masked"))
        detail = await storage.reader.get_image(during.image_id)
        assert detail is not None
        key = detail.image.original_key
        assert await read(storage.objects, key) == b"during"
        assert (await storage.objects.url(key, 60)).startswith("/files/originals/")
        assert await storage.deleter.delete_image(before.image_id, admin)
        assert (await storage.reader.stats()).cleanup_pending == 1
        assert not await storage.objects.ready()
        await until(lambda: _all_let_go(storage), 30)

        server.start()
        for path in (tmp_path / "spool").iterdir():
            os.utime(path, (0, time.time() - 10))
        await storage.objects.sweep()
        await until(lambda: _spool_is_empty(tmp_path))
        assert await read(storage.objects, key) == b"during"
        assert (await storage.objects.url(key, 60)).startswith(server.endpoint)
    server.stop()


async def test_a_spool_that_is_full_refuses(tmp_path: Path) -> None:
    """When the storage has been away for too long, new requests hear so and leave nothing."""
    async with open_persistence(PersistenceOptions(home=tmp_path, spool_bytes=100)) as opened:
        assert opened.storage is not None
        with pytest.raises(DependencyDown):
            await opened.storage.writer.save(image(b"x" * 200), detect())
        assert (await opened.storage.reader.stats()).images == 0


async def test_waiting_for_the_storage(tmp_path: Path) -> None:
    """Where disks vanish with their machine, an answer waits for S3, and without it there is none."""
    server = S3Server()
    server.start()
    options = PersistenceOptions(home=tmp_path, s3=s3_place(server), wait_for_store=True)
    async with open_persistence(options) as opened:
        storage = opened.storage
        assert storage is not None
        saved = await storage.writer.save(image(b"kept"), mask(b"masked"))
        detail = await storage.reader.get_image(saved.image_id)
        assert detail is not None
        await until(lambda: _spool_is_empty(tmp_path))
        assert await read(storage.objects, detail.image.original_key) == b"kept"
        server.stop()
        with pytest.raises(DependencyDown):
            await storage.writer.save(image(b"not kept"), detect())
        assert (await storage.reader.stats()).images == 1


async def test_a_full_disk_refuses_and_leaves_nothing(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller hears that there is no room; there is neither half an image nor half a job."""

    def no_room(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_room)
        with pytest.raises(DependencyDown, match="insufficient storage"):
            await storage.writer.save(image(), mask())
    assert (await storage.reader.stats()).images == 0
    assert await _spool_is_empty(tmp_path)
    await storage.writer.save(image(), mask())
    assert (await storage.reader.stats()).images == 1


async def test_a_database_that_is_away_at_the_start_is_waited_for(postgres: Postgres, tmp_path: Path) -> None:
    """The service starts, says what it waits for, and works as soon as the database does."""
    url = postgres.new_database()
    postgres.forbid_connections(url)
    options = PersistenceOptions(
        home=tmp_path, database_url=SecretStr(url), bootstrap_key=SecretStr("first-key")
    )
    async with open_persistence(options) as opened:
        assert opened.storage is not None
        assert not await opened.database.ready()
        with pytest.raises(DependencyDown):
            await opened.keys.check("first-key")
        with pytest.raises(DependencyDown):
            await opened.storage.writer.save(image(), detect())
        postgres.allow_connections(url)
        await until(opened.database.ready)
        await until(lambda: _is_let_in(opened, "first-key"))
        await opened.storage.writer.save(image(), detect())


async def test_a_database_that_goes_away_leaves_no_half_request(postgres: Postgres, tmp_path: Path) -> None:
    """While it is away nothing is kept; the bytes on this disk are removed once it knows none of them."""
    url = postgres.new_database()
    options = PersistenceOptions(home=tmp_path, database_url=SecretStr(url))
    async with open_persistence(options) as opened:
        storage = opened.storage
        assert storage is not None
        postgres.forbid_connections(url)
        with pytest.raises(DependencyDown) as away:
            await storage.writer.save(image(), mask())
        assert away.value.retry_after_s > 0
        postgres.allow_connections(url)
        for path in (tmp_path / "spool").iterdir():
            os.utime(path, (0, time.time() - DOUBT_S - 1))
        assert await storage.objects.sweep() == 2
        assert (await storage.reader.stats()).images == 0
        assert await _spool_is_empty(tmp_path)
        assert not any(path.is_file() for path in (tmp_path / "objects").rglob("*"))


async def test_two_processes_share_a_home(options: PersistenceOptions) -> None:
    """What one keeps the other reads, whichever of them moves the bytes."""
    async with open_persistence(options) as one, open_persistence(replace(options)) as two:
        assert one.storage is not None
        assert two.storage is not None
        saved = await one.storage.writer.save(image(b"shared"), detect())
        detail = await two.storage.reader.get_image(saved.image_id)
        assert detail is not None
        await two.storage.objects.sweep()
        assert await read(two.storage.objects, detail.image.original_key) == b"shared"


async def _spool_is_empty(home: Path) -> bool:
    return not os.listdir(home / "spool")  # noqa: PTH208 - a folder of a test


async def _all_let_go(storage: Storage) -> bool:
    """Tell whether the mover gave up for now, so that a sweep may take the files."""
    return storage.objects.is_waiting


async def _is_let_in(persistence: Persistence, key: str) -> bool:
    try:
        return await persistence.keys.check(key) is not None
    except DependencyDown:
        return False
