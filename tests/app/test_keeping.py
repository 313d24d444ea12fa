"""Door one with a memory: limits, and what its clients see while a part of it is away."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from typing import TYPE_CHECKING

from pydantic import SecretStr

from app.api import create_app
from app.services import open_services
from tests.app.admin.conftest import ADMIN, BASIC, PICTURE, embedded
from tests.app.conftest import client_of
from tests.app.records.requests import until
from tests.servers import ACCESS_KEY, Postgres, S3Server

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    import pytest

    from tests.fakes.engine import FakeEngine

DETECT = "/api/v1/detect"
MASK = "/api/v1/mask"


def limit_of(answer: httpx.Response) -> tuple[str, str]:
    """Return what an answer says of its limit."""
    assert time.time() < int(answer.headers["x-ratelimit-reset"]) < time.time() + 62
    return answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]


async def test_the_published_limits_hold(engine: FakeEngine, tmp_path: Path, key: str) -> None:
    """300 detections and 150 masks a minute: all of those pass, the next hears when to come back."""
    settings = embedded(tmp_path, key, storage_enabled=False)
    async with open_services(settings, engine) as services, client_of(create_app(services), key) as client:
        for path, limit in ((DETECT, 300), (MASK, 150)):
            first = await client.post(path, files=PICTURE)
            assert limit_of(first) == (str(limit), str(limit - 1))
            answers = await asyncio.gather(*(client.post(path, files=PICTURE) for _ in range(limit - 1)))
            assert {answer.status_code for answer in answers} == {200}
            refused = await client.post(path, files=PICTURE)
            assert refused.status_code == 429
            assert limit_of(refused) == (str(limit), "0")
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            assert list(refused.json()) == ["detail"]
        asked = len(engine.seen)
        other = (await client.post(f"{ADMIN}/api-keys", json={"name": "other"}, auth=BASIC)).json()["key"]
        assert (await client.post(DETECT, headers={"X-API-Key": other}, files=PICTURE)).status_code == 200
        assert len(engine.seen) == asked + 1


async def test_every_answer_tells_its_limit(engine: FakeEngine, tmp_path: Path, key: str) -> None:
    """Also one that is an error; one that was refused for its key has no limit to tell."""
    settings = embedded(tmp_path, key, storage_enabled=False)
    async with open_services(settings, engine) as services, client_of(create_app(services), key) as client:
        broken = await client.post(DETECT, content=b"x", headers={"Content-Type": "text/plain"})
        assert (broken.status_code, limit_of(broken)) == (415, ("300", "299"))
        stranger = await client.post(DETECT, headers={"X-API-Key": "wrong"}, files=PICTURE)
        assert stranger.status_code == 401
        assert "x-ratelimit-limit" not in stranger.headers


async def test_without_keys_each_address_has_the_limit(engine: FakeEngine, tmp_path: Path, key: str) -> None:
    """Behind a proxy that is trusted, each of its clients counts for himself; others cannot pretend."""
    settings = embedded(
        tmp_path,
        key,
        api_key_enabled=False,
        storage_enabled=False,
        detect_rate_limit="2/minute",
        trusted_proxies=("127.0.0.0/8",),
    )
    async with open_services(settings, engine) as services, client_of(create_app(services)) as client:
        for address, statuses in (("192.0.2.1", [200, 200, 429]), ("192.0.2.2", [200, 200, 429])):
            headers = {"X-Forwarded-For": f"203.0.113.7, {address}"}
            seen = [(await client.post(DETECT, headers=headers, files=PICTURE)).status_code for _ in range(3)]
            assert seen == statuses


async def test_two_replicas_count_together(engine: FakeEngine, tmp_path: Path, key: str) -> None:
    """A limit is a limit over all replicas of a machine."""
    settings = embedded(tmp_path, key, storage_enabled=False, detect_rate_limit="20/minute")
    async with (
        open_services(settings, engine) as one,
        open_services(settings, engine) as two,
        client_of(create_app(one), key) as first,
        client_of(create_app(two), key) as second,
    ):
        answers = await asyncio.gather(
            *(client.post(DETECT, files=PICTURE) for client in (first, second) for _ in range(15))
        )
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(429)) == (20, 10)


async def test_a_key_turned_off_stops_on_every_replica(engine: FakeEngine, tmp_path: Path, key: str) -> None:
    """Within five seconds also on the replica that did not turn it off."""
    settings = embedded(tmp_path, key, storage_enabled=False)
    async with (
        open_services(settings, engine) as one,
        open_services(settings, engine) as two,
        client_of(create_app(one)) as first,
        client_of(create_app(two)) as second,
    ):
        made = (await first.post(f"{ADMIN}/api-keys", json={"name": "x"}, auth=BASIC)).json()
        headers = {"X-API-Key": made["key"]}
        assert (await second.post(DETECT, headers=headers, files=PICTURE)).status_code == 200
        await first.patch(f"{ADMIN}/api-keys/{made['id']}", json={"is_active": False}, auth=BASIC)

        async def is_refused() -> bool:
            return (await second.post(DETECT, headers=headers, files=PICTURE)).status_code == 401

        await until(is_refused, 5.0)


async def test_a_database_that_is_late(
    engine: FakeEngine, postgres: Postgres, tmp_path: Path, key: str
) -> None:
    """The service starts without it, says in words what it waits for, and recovers by itself."""
    url = postgres.new_database()
    postgres.forbid_connections(url)
    settings = embedded(tmp_path, key, database_url=SecretStr(url))
    async with open_services(settings, engine) as services, client_of(create_app(services), key) as client:
        health = await client.get("/health")
        assert health.status_code == 503
        shown = health.json()
        assert (shown["status"], shown["model_loaded"], shown["database_ready"]) == (
            "unavailable",
            True,
            False,
        )
        assert shown["detail"] == "the database is not ready yet"
        for answer in (
            await client.post(DETECT, files=PICTURE),
            await client.get(f"{ADMIN}/images", auth=BASIC),
        ):
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert list(answer.json()) == ["detail"]
        postgres.allow_connections(url)

        async def is_well() -> bool:
            return (await client.get("/health")).status_code == 200

        await until(is_well, 20.0)
        assert (await client.post(DETECT, files=PICTURE)).status_code == 200


async def test_a_database_that_goes_away(
    engine: FakeEngine, postgres: Postgres, tmp_path: Path, key: str
) -> None:
    """Requests hear 503 and when to come back; nothing of them is kept, and afterwards all is well."""
    url = postgres.new_database()
    settings = embedded(tmp_path, key, database_url=SecretStr(url))
    async with open_services(settings, engine) as services, client_of(create_app(services), key) as client:
        assert (await client.post(DETECT, files=PICTURE)).status_code == 200
        postgres.forbid_connections(url)
        for path in (DETECT, MASK):
            answer = await client.post(path, files=PICTURE)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert "x-image-id" not in answer.headers
        postgres.allow_connections(url)
        assert (await client.post(DETECT, files=PICTURE)).status_code == 200
        stats = (await client.get(f"{ADMIN}/stats", auth=BASIC)).json()
        assert (stats["total_images"], stats["total_jobs"]) == (2, 2)


async def test_a_storage_that_goes_away(engine: FakeEngine, tmp_path: Path, key: str) -> None:
    """Health says so; requests go on, and their pictures are shown from here. Waiting for it is a setting."""
    server = S3Server()
    server.start()
    values = {
        "s3_bucket": server.new_bucket(),
        "s3_endpoint": server.endpoint,
        "s3_access_key_id": ACCESS_KEY,
        "s3_secret_access_key": SecretStr(ACCESS_KEY),
    }
    server.stop()
    settings = embedded(tmp_path, key, **values)
    async with open_services(settings, engine) as services, client_of(create_app(services), key) as client:
        health = await client.get("/health")
        assert (health.status_code, health.json()["storage_ready"]) == (503, False)
        assert health.json()["detail"]
        kept = await client.post(DETECT, files=PICTURE)
        assert kept.status_code == 200
        path = f"{ADMIN}/images/{kept.json()['image_id']}"
        shown = (await client.get(path, auth=BASIC)).json()
        assert (await client.get(shown["original_url"])).content == PICTURE["image"][1]
        answer = await client.delete(path, auth=BASIC)
        assert answer.status_code == 204
        assert (await client.get(f"{ADMIN}/stats", auth=BASIC)).json()["cleanup_pending"] == 1
    waiting = settings.model_copy(update={"wait_for_storage": True})
    async with open_services(waiting, engine) as services, client_of(create_app(services), key) as client:
        answer = await client.post(DETECT, files=PICTURE)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert (await client.get(f"{ADMIN}/stats", auth=BASIC)).json()["total_images"] == 0


async def test_a_full_disk(
    engine: FakeEngine, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller hears 503 and why; there is neither half an image nor half a job."""

    def no_room(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    settings = embedded(tmp_path, key)
    async with open_services(settings, engine) as services, client_of(create_app(services), key) as client:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", no_room)
            answer = await client.post(MASK, files=PICTURE)
            assert answer.status_code == 503
            assert answer.json() == {"detail": "insufficient storage"}
            assert answer.headers["retry-after"] == "30"
        assert (await client.post(MASK, files=PICTURE)).status_code == 200
        assert (await client.get(f"{ADMIN}/stats", auth=BASIC)).json()["total_jobs"] == 1


async def test_signed_addresses(engine: FakeEngine, tmp_path: Path, key: str) -> None:
    """An address opens one picture until its time; changed in any part, or too late, it opens nothing."""
    settings = embedded(tmp_path, key, object_url_ttl_s=4)
    async with open_services(settings, engine) as services, client_of(create_app(services), key) as client:
        await client.post(DETECT, files=PICTURE)
        url = (await client.get(f"{ADMIN}/images", auth=BASIC)).json()["items"][0]["original_url"]
        answer = await client.get(url)
        assert (answer.status_code, answer.content) == (200, PICTURE["image"][1])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        path, _, query = url.partition("?")
        expires, _, signature = query.removeprefix("expires=").partition("&signature=")
        later = f"expires={int(expires) + 60}"
        for changed in (
            path,
            f"{path}?{later}&signature={signature}",
            f"{path}?expires={expires}&signature={signature[:-1]}{'0' if signature[-1] != '0' else '1'}",
            f"{path}x?{query}",
            f"{path}/../../secrets/url_signing_key?{query}",
            f"/files/..%2f..%2fsecrets%2furl_signing_key?{query}",
            f"/files//etc/passwd?{query}",
            f"/files/%00?{query}",
        ):
            refused = await client.get(changed)
            assert refused.status_code in {403, 404}, changed
            assert list(refused.json()) == ["detail"]
        assert (await client.get(f"{path}?expires=x&signature=")).status_code == 422

        async def is_over() -> bool:
            return (await client.get(url)).status_code == 403

        await until(is_over, 15.0)
