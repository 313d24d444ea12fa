"""A part that goes away while a request is under way: the caller hears 503, and nothing of it stays."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from app.api import create_app
from app.services import Services, open_services
from app.storage.spooled import DOUBT_S
from tests.app.admin.conftest import ADMIN, BASIC, PICTURE, embedded
from tests.app.conftest import client_of
from tests.app.records.requests import until
from tests.fakes.engine import FakeEngine
from tests.servers import ACCESS_KEY, Postgres, S3Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from pipelines.results import Detection, DetectOptions, EncodeOptions, MaskedImage, MaskOptions

DETECT = "/api/v1/detect"
MASK = "/api/v1/mask"


@dataclass
class FailingMidway(FakeEngine):
    """An engine during whose work something happens, once."""

    meanwhile: list[Callable[[], None]] = field(default_factory=list)

    async def detect(self, data: bytes, options: DetectOptions) -> Detection:
        """Let it happen, then answer."""
        await self._happen()
        return await super().detect(data, options)

    async def mask(
        self, data: bytes, options: DetectOptions, mask: MaskOptions, encode: EncodeOptions
    ) -> MaskedImage:
        """Let it happen, then answer."""
        await self._happen()
        return await super().mask(data, options, mask, encode)

    async def _happen(self) -> None:
        while self.meanwhile:
            await asyncio.to_thread(self.meanwhile.pop())


def assert_told_to_come_back(answer: httpx.Response) -> None:
    """Hold an answer to what a caller can work with."""
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert list(answer.json()) == ["detail"]
    assert "x-image-id" not in answer.headers
    assert "x-job-id" not in answer.headers


async def sweep_all(services: Services, home: Path) -> None:
    """Sweep as if what lies on this disk had lain there for long; what is being moved goes by itself."""
    assert services.memory is not None
    assert services.memory.storage is not None
    deadline = time.monotonic() + 20
    while left := list((home / "spool").iterdir()):
        assert time.monotonic() < deadline, left
        for path in left:
            with suppress(FileNotFoundError):
                os.utime(path, (0, time.time() - DOUBT_S - 1))
        await services.memory.storage.objects.sweep()
        await asyncio.sleep(0.05)


async def totals(client: httpx.AsyncClient) -> tuple[int, int, int]:
    """Return how many images, jobs and objects to remove there are."""
    stats = (await client.get(f"{ADMIN}/stats", auth=BASIC)).json()
    return stats["total_images"], stats["total_jobs"], stats["cleanup_pending"]


@pytest.mark.parametrize("path", [DETECT, MASK])
async def test_the_database_goes_in_the_middle_of_a_request(
    postgres: Postgres, tmp_path: Path, key: str, path: str
) -> None:
    """Its key was checked while the database was there, its rows find none: nothing is kept, bytes go."""
    url = postgres.new_database()
    engine = FailingMidway()
    settings = embedded(tmp_path, key, database_url=SecretStr(url))
    async with open_services(settings, engine) as services, client_of(create_app(services), key) as client:
        engine.meanwhile.append(lambda: postgres.forbid_connections(url))
        assert_told_to_come_back(await client.post(path, files=PICTURE))
        postgres.allow_connections(url)
        assert await totals(client) == (0, 0, 0)
        await sweep_all(services, tmp_path)
        assert [each for each in (tmp_path / "objects").rglob("*") if each.is_file()] == []
        assert (await client.post(path, files=PICTURE)).status_code == 200
        assert (await totals(client))[:2] == (1, 1)


@pytest.mark.parametrize("size", [20, 2 * 1024 * 1024])
async def test_the_database_goes_with_many_requests_under_way(
    postgres: Postgres, tmp_path: Path, key: str, size: int
) -> None:
    """Each request is kept whole and was told so, or is not kept and was told that; there is no third."""
    url = postgres.new_database()
    engine = FailingMidway()
    settings = embedded(tmp_path, key, database_url=SecretStr(url))
    async with open_services(settings, engine) as services, client_of(create_app(services), key) as client:

        async def ask(number: int) -> httpx.Response:
            if number == 10:
                engine.meanwhile.append(lambda: postgres.forbid_connections(url))
            return await client.post(MASK, files={"image": f"picture {number}".encode().ljust(size)})

        answers = await asyncio.gather(*(ask(number) for number in range(20)))
        postgres.allow_connections(url)
        assert {answer.status_code for answer in answers} <= {200, 503}
        kept = {answer.headers["x-image-id"] for answer in answers if answer.status_code == 200}
        for answer in answers:
            if answer.status_code != 200:
                assert_told_to_come_back(answer)
        await sweep_all(services, tmp_path)
        shown = (await client.get(f"{ADMIN}/images?per_page=100", auth=BASIC)).json()
        assert {item["id"] for item in shown["items"]} == kept
        assert (await totals(client))[:2] == (len(kept), len(kept))


async def test_s3_goes_in_the_middle_of_a_request(tmp_path: Path, key: str) -> None:
    """Where answers wait for S3: no image and no job; what had arrived there already is removed again."""
    server = S3Server()
    server.start()
    engine = FailingMidway()
    settings = embedded(
        tmp_path,
        key,
        s3_bucket=server.new_bucket(),
        s3_endpoint=server.endpoint,
        s3_access_key_id=ACCESS_KEY,
        s3_secret_access_key=SecretStr(ACCESS_KEY),
        wait_for_storage=True,
    )
    async with open_services(settings, engine) as services, client_of(create_app(services), key) as client:
        assert services.memory is not None
        assert services.memory.storage is not None
        place = services.memory.storage.place
        engine.meanwhile.append(server.stop)
        assert_told_to_come_back(await client.post(MASK, files=PICTURE))
        left = [path.name.replace("+", "/") for path in (tmp_path / "spool").iterdir()]
        assert len(left) == 2
        server.start()
        assert await totals(client) == (0, 0, 0)
        original = next(name for name in left if name.startswith("originals/"))
        await place.put(original, PICTURE["image"][1])  # as if only the second of the two had failed
        await sweep_all(services, tmp_path)
        for name in left:
            assert not await place.exists(name)
        assert (await client.post(MASK, files=PICTURE)).status_code == 200
        assert await totals(client) == (1, 1, 0)
    server.stop()


async def test_s3_goes_in_the_middle_of_a_removal(tmp_path: Path, key: str) -> None:
    """The image is gone at once for everybody; its objects go as soon as S3 is back, and not before."""
    server = S3Server()
    server.start()
    settings = embedded(
        tmp_path,
        key,
        s3_bucket=server.new_bucket(),
        s3_endpoint=server.endpoint,
        s3_access_key_id=ACCESS_KEY,
        s3_secret_access_key=SecretStr(ACCESS_KEY),
    )
    async with (
        open_services(settings, FakeEngine()) as services,
        client_of(create_app(services), key) as client,
    ):
        assert services.memory is not None
        assert services.memory.storage is not None
        place = services.memory.storage.place
        image_id = (await client.post(MASK, files=PICTURE)).headers["x-image-id"]
        found = await services.memory.storage.reader.list_images(1, 1)
        names = (found.items[0].original_key, found.items[0].processed_key or "")

        async def has_arrived() -> bool:
            return all([await place.exists(name) for name in names])

        await until(has_arrived)
        server.stop()
        path = f"{ADMIN}/images/{image_id}"
        assert (await client.delete(path, auth=BASIC)).status_code == 204
        assert (await client.get(path, auth=BASIC)).status_code == 404
        assert await totals(client) == (0, 0, 2)
        server.start()
        assert await has_arrived()
        assert await services.memory.storage.cleanup.try_now(names) == 2
        assert not await place.exists(names[0])
        assert await totals(client) == (0, 0, 0)
    server.stop()


async def test_a_full_database_keeps_no_half_request(tmp_path: Path, key: str) -> None:
    """Where SQLite cannot grow, the caller hears that there is no room; with room again all is well."""
    engine = FakeEngine()
    settings = embedded(tmp_path, key)
    async with open_services(settings, engine) as services, client_of(create_app(services), key) as client:
        assert (await client.post(MASK, files=PICTURE)).status_code == 200
        assert services.memory is not None
        limit = services.memory.database._batches  # noqa: SLF001 - the limit is one of its own connection
        assert limit is not None
        cursor = limit._cursor()  # noqa: SLF001 - as above
        cursor.execute("PRAGMA max_page_count = 1")  # becomes as many as there are
        answers = [
            await client.post(MASK, files={"image": f"{number}".encode() * 1000}) for number in range(40)
        ]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert refused
        for answer in refused:
            assert_told_to_come_back(answer)
            assert answer.json()["detail"] == "insufficient storage for the database"
        cursor.execute("PRAGMA max_page_count = 1000000")
        kept = 1 + len(answers) - len(refused)
        assert await totals(client) == (kept, kept, 0)
        await sweep_all(services, tmp_path)
        assert (await client.post(MASK, files=PICTURE)).status_code == 200
