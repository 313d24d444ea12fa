"""The runner on both databases: to the end through deaths, outages and second thoughts of clients."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from pydantic_core import from_json

from app.tasks import patience
from app.tasks.ports import WorkerDied
from app.tasks.queue import POISON, TaskQueue
from app.tasks.runner import RunnerPace, TaskRunner
from app.tasks.running import Workshop
from app.tasks.scratch import Scratch
from app.tasks.values import Status, TaskType
from pipelines.errors import DependencyDown, InvalidMedia, Overloaded
from tests.app.records.requests import until
from tests.app.tasks.chunked import ChunkedPipeline, OneFile
from tests.app.tasks.conftest import ALICE
from tests.app.tasks.running_service import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from uuid import UUID

    from tests.app.tasks.conftest import Desk

QUICK = RunnerPace(lease_s=1.0, poll_s=0.05, check_s=0.2)


@asynccontextmanager
async def running(
    desk: Desk, home: Path, pipeline: ChunkedPipeline, source: OneFile | None = None
) -> AsyncIterator[TaskRunner]:
    """Run tasks in this process."""
    found = source or OneFile()
    queue = TaskQueue(desk.database, desk.plans)
    shop = Workshop(
        queue, lambda _: found, {TaskType.IMAGE: pipeline}, Scratch(home / "scratch"), chunks_at_once=2
    )
    runner = TaskRunner(shop, QUICK)
    await runner.start()
    try:
        yield runner
    finally:
        await runner.close()


async def ended(desk: Desk, task_id: UUID, timeout_s: float = 20.0) -> Status:
    """Return how a task ended."""

    async def is_over() -> bool:
        return (await desk.store.get(ALICE, task_id)).status.is_terminal

    await until(is_over, timeout_s)
    return (await desk.store.get(ALICE, task_id)).status


async def result(desk: Desk, task_id: UUID) -> bytes:
    """Return a task's result."""
    found = await desk.store.result(await desk.store.get(ALICE, task_id))
    assert found is not None
    return found


def folders(home: Path) -> list[Path]:
    """Return the folders of media that lie in the scratch folder."""
    return [path for path in (home / "scratch").glob("*/*") if path.is_dir()]


async def test_a_task_runs_to_its_end(desk: Desk, tmp_path: Path) -> None:
    """Chunks are analysed a few at once and merged in order; nothing stays behind."""
    pipeline = ChunkedPipeline(chunks=8, pause_s=0.01)
    async with running(desk, tmp_path, pipeline):
        task_id = await desk.create()
        assert await ended(desk, task_id) is Status.SUCCEEDED
        assert not folders(tmp_path)
    assert sorted(pipeline.seen) == list(range(8))
    assert pipeline.most_at_once == 2
    found = from_json(await result(desk, task_id))
    assert [frame["timestamp"] for frame in found["frames"]] == [at / 2 for at in range(24)]
    assert found["frames"][-1]["faces"][0]["face_id"] == "f_24"
    assert found["face_tracks"] == [{"track_id": "t_1"}]
    assert found["summary"] == {"total_faces": 24, "unique_identities": 1}
    task = await desk.store.get(ALICE, task_id)
    assert (task.progress, task.media is not None and task.media.duration) == (1.0, 12.0)
    assert not list((tmp_path / "scratch").glob("*/"))


async def test_a_killed_runners_work_goes_on(desk: Desk, db_url: str, tmp_path: Path) -> None:
    """After `kill -9` another runner ends the task with the same result, without redoing what was done."""
    undisturbed = await desk.create()
    async with running(desk, tmp_path / "calm", ChunkedPipeline(chunks=8)):
        assert await ended(desk, undisturbed) is Status.SUCCEEDED

    disturbed = await desk.create()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.app.tasks.runner_process",
        str(tmp_path),
        db_url,
        "0.4",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    for _ in range(5):
        # Its log has lines too.
        while not (line := await process.stdout.readline()).startswith(b"chunk"):
            assert line
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert folders(tmp_path), "the dead runner left its media"
    before = await desk.store.get(ALICE, disturbed)
    assert (before.status, before.progress >= 0.4) == (Status.RUNNING, True)

    pipeline = ChunkedPipeline(chunks=8)
    async with running(desk, tmp_path, pipeline):
        assert not folders(tmp_path), "what the dead left is removed at the start"
        assert await ended(desk, disturbed) is Status.SUCCEEDED
    assert len(pipeline.seen) <= 4, "finished chunks are not done again"
    assert await result(desk, disturbed) == await result(desk, undisturbed)


async def test_a_cancelled_task_stops_soon(desk: Desk, tmp_path: Path) -> None:
    """The runner lets go of a cancelled task, its chunks and its media within seconds."""
    pipeline = ChunkedPipeline(chunks=8, pause_s=60)
    async with running(desk, tmp_path, pipeline):
        task_id = await desk.create()
        await until(lambda: _is(pipeline.at_once == 2))
        await desk.store.cancel(ALICE, task_id)
        await until(lambda: _is(pipeline.at_once == 0 and not folders(tmp_path)), 5)
    assert (await desk.store.get(ALICE, task_id)).status is Status.CANCELLED


async def test_a_stop_gives_tasks_back(desk: Desk, tmp_path: Path) -> None:
    """A runner that is stopped puts its tasks back into the queue at once, and the next one goes on."""
    slow = ChunkedPipeline(chunks=4, pause_s=0.2)
    async with running(desk, tmp_path, slow):
        task_id = await desk.create()
        await until(lambda: _is(len(slow.seen) >= 2))
        await asyncio.sleep(0.1)
    assert (await desk.store.get(ALICE, task_id)).status is Status.QUEUED
    quick = ChunkedPipeline(chunks=4)
    async with running(desk, tmp_path, quick):
        assert await ended(desk, task_id) is Status.SUCCEEDED
    assert len(quick.seen) <= 2


async def test_media_that_kills_workers_is_given_up(desk: Desk, tmp_path: Path) -> None:
    """A chunk whose worker dies three times fails its task with the reason, and no other task."""

    def die(number: int) -> None:
        if number == 2:
            message = "killed"
            raise WorkerDied(message)

    pipeline = ChunkedPipeline(chunks=4, trouble=die)
    async with running(desk, tmp_path, pipeline):
        poison = await desk.create()
        assert await ended(desk, poison) is Status.FAILED
        assert (await desk.store.get(ALICE, poison)).failure == POISON
        pipeline.trouble = lambda _number: None
        assert await ended(desk, await desk.create()) is Status.SUCCEEDED


async def test_what_is_away_is_waited_for(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that is restarting or overloaded delays a task and does not fail it."""
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.01)
    troubles = [Overloaded("busy"), DependencyDown("away")] * 2

    def be_away(_number: int) -> None:
        if troubles:
            raise troubles.pop()

    async with running(desk, tmp_path, ChunkedPipeline(trouble=be_away)):
        assert await ended(desk, await desk.create()) is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("error", "code"),
    [(InvalidMedia("Unable to decode media."), "invalid_media"), (RuntimeError("secret"), "internal_error")],
)
async def test_failures_are_told(desk: Desk, tmp_path: Path, error: Exception, code: str) -> None:
    """Bad media is told in its own words, a bug in none of ours."""
    async with running(desk, tmp_path, ChunkedPipeline(), OneFile(error=error)):
        task_id = await desk.create()
        assert await ended(desk, task_id) is Status.FAILED
        assert not folders(tmp_path)
    failure = (await desk.store.get(ALICE, task_id)).failure
    assert failure is not None
    assert failure.code == code
    assert "secret" not in failure.message


async def test_a_changed_file_is_analysed_anew(desk: Desk, tmp_path: Path) -> None:
    """Chunks of a file that has changed before the resume are not mixed with the new one's."""
    slow = ChunkedPipeline(chunks=4, pause_s=0.2)
    async with running(desk, tmp_path, slow, OneFile(b"first")):
        task_id = await desk.create()
        await until(lambda: _is(len(slow.seen) >= 2))
    anew = ChunkedPipeline(chunks=4)
    async with running(desk, tmp_path, anew, OneFile(b"second")):
        assert await ended(desk, task_id) is Status.SUCCEEDED
    assert sorted(anew.seen) == [0, 1, 2, 3]


async def test_a_long_result_is_read_in_pages(desk: Desk, tmp_path: Path) -> None:
    """A result of more than fits in one answer leads on by cursors; together they are all of it, once."""
    async with running(desk, tmp_path, ChunkedPipeline(chunks=400)):
        task_id = await desk.create()
        assert await ended(desk, task_id, 60) is Status.SUCCEEDED
    whole = from_json(await result(desk, task_id))
    assert "next_cursor" not in whole
    assert len(whole["frames"]) == 1200
    frames, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        page = from_json(b"{" + await desk.store.result_page(ALICE, task_id, cursor) + b"}")
        frames += page["frames"]
        cursor = page["next_cursor"]
        pages += 1
    assert pages >= 2
    assert frames == whole["frames"]
    desk.store._inline_bytes = 1000  # noqa: SLF001 - as an operator of small answers
    begun = from_json(await result(desk, task_id))
    assert begun["frames"] == whole["frames"][: len(begun["frames"])]
    rest = from_json(b"{" + await desk.store.result_page(ALICE, task_id, begun["next_cursor"]) + b"}")
    assert rest["frames"][0] == whole["frames"][len(begun["frames"])]


async def _is(value: object) -> bool:
    return bool(value)
