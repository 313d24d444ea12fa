"""Limits that several processes share, in a file and in Redis."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import pytest

from app.limits import FileLimiter, Limiter, RedisLimiter
from pipelines.errors import DependencyDown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HIT = """
import asyncio, sys
from pathlib import Path
from app.limits import FileLimiter, RedisLimiter

async def main():
    kind, where = sys.argv[1:]
    limiter = FileLimiter(Path(where)) if kind == "file" else RedisLimiter(where)
    sys.stdin.readline()
    hits = await asyncio.gather(*(limiter.hit("detect", "100/minute", "who") for _ in range(60)))
    print(sum(hit.is_allowed for hit in hits))
    await limiter.close()

asyncio.run(main())
"""


@pytest.fixture(params=["file", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Return a kind of limiter and where it counts."""
    if request.param == "file":
        return "file", str(tmp_path / "run" / "limits.sqlite")
    return "redis", request.getfixturevalue("redis_url")


@pytest.fixture
async def limiter(place: tuple[str, str], tmp_path: Path) -> AsyncIterator[Limiter]:
    """Return a limiter; each test runs on both kinds."""
    kind, where = place
    opened: Limiter = FileLimiter(tmp_path / "limits.sqlite") if kind == "file" else RedisLimiter(where)
    yield opened
    await opened.close()


async def test_a_limit_lets_through_what_it_says(limiter: Limiter) -> None:
    """Each request tells what is left; the one too many does not pass and is not counted."""
    before = time.time()
    hits = [await limiter.hit("a", "3/minute", "me") for _ in range(5)]
    assert [hit.is_allowed for hit in hits] == [True, True, True, False, False]
    assert [hit.remaining for hit in hits] == [2, 1, 0, 0, 0]
    assert {hit.limit for hit in hits} == {3}
    assert before + 59 < hits[-1].reset_at < time.time() + 61
    assert 59 <= hits[-1].retry_after_s() <= 61


async def test_limits_do_not_mix(limiter: Limiter) -> None:
    """Another caller and another scope have counts of their own."""
    assert (await limiter.hit("b", "1/minute", "me")).is_allowed
    assert (await limiter.hit("b", "1/minute", "you")).is_allowed
    assert (await limiter.hit("c", "1/minute", "me")).is_allowed
    assert not (await limiter.hit("b", "1/minute", "me")).is_allowed


async def test_the_window_moves(limiter: Limiter) -> None:
    """A place is free again when the request that took it is older than the window, not earlier."""
    await limiter.hit("d", "2/2 seconds", "me")
    await asyncio.sleep(1.2)
    await limiter.hit("d", "2/2 seconds", "me")
    assert not (await limiter.hit("d", "2/2 seconds", "me")).is_allowed
    await asyncio.sleep(1.0)
    assert (await limiter.hit("d", "2/2 seconds", "me")).is_allowed
    assert not (await limiter.hit("d", "2/2 seconds", "me")).is_allowed


async def test_processes_share_a_limit_exactly(place: tuple[str, str]) -> None:
    """Three processes that ask at once get what one would get, not one more and not one less."""
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", HIT, *place, stdin=pipe, stdout=pipe)
        for _ in range(3)
    ]
    ends = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    assert sum(int(output) for output, _ in ends) == 100


async def test_a_broken_file_is_made_anew(tmp_path: Path) -> None:
    """A file that a power cut ruined costs the last minute's counts, not the service."""
    path = tmp_path / "limits.sqlite"
    path.write_bytes(b"not a database, whatever its name says" * 100)
    limiter = FileLimiter(path)
    assert (await limiter.hit("a", "1/minute", "me")).is_allowed
    await limiter.close()


async def test_a_redis_that_is_away_is_named() -> None:
    """Nobody passes uncounted."""
    limiter = RedisLimiter("redis://127.0.0.1:1/0")
    with pytest.raises(DependencyDown):
        await limiter.hit("a", "1/minute", "me")
    await limiter.close()
