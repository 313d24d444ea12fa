"""Real videos and animations through the runner: however they are cut, and whoever dies, one result."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from pydantic_core import from_json

from app.tasks.ports import WorkerDied
from app.tasks.queue import TaskQueue
from app.tasks.runner import RunnerPace, TaskRunner
from app.tasks.running import Workshop
from app.tasks.scratch import Scratch
from app.tasks.values import NewTask, Status, TaskOptions, TaskType, read_task_id
from app.tasks.video_work import AnimationPipeline, VideoPipeline
from pipelines.faces import Faces
from pipelines.video.records import frame_record, write_record
from tests.app.records.requests import until
from tests.app.tasks.chunked import OneFile
from tests.app.tasks.conftest import ALICE, BIG
from tests.pipelines.video.rendered import Recipe, drawn, render, steady

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from numpy.typing import NDArray

    from app.tasks.ports import MediaPipeline
    from app.tasks.video_work import ChunkJob
    from tests.app.tasks.conftest import Desk


class DiscExecutor:
    """Analyses chunks in this process: the disc of the rendered videos is a face."""

    def __init__(self, deaths: int = 0) -> None:
        self.deaths = deaths
        self.runs = 0

    async def run(self, job: ChunkJob) -> bytes:
        """Return the chunk's record, or die."""
        self.runs += 1
        if self.deaths:
            self.deaths -= 1
            message = "killed"
            raise WorkerDied(message)
        return await asyncio.to_thread(_analysed, job)


def _analysed(job: ChunkJob) -> bytes:
    frames = job.frames.decoded(None)
    return write_record(frame_record(each.timestamp, _disc(each.pixels)) for each in frames)


def _disc(pixels: NDArray[np.uint8]) -> Faces:
    rows, columns = np.nonzero(pixels[:, :, 1] > 245)
    if not len(rows):
        return Faces.none(with_points=False)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return Faces(np.array([box], np.float32), np.array([0.9], np.float32), None)


async def result_of(
    desk: Desk, home: Path, data: bytes, pipeline: MediaPipeline, options: TaskOptions
) -> dict[str, Any]:
    """Run a task to its end and return what its owner gets."""
    answer = await desk.store.create(ALICE, BIG, NewTask(options, "https://example.com/v"), "req_1")
    task_id = read_task_id(answer["task_id"])
    assert task_id is not None
    queue = TaskQueue(desk.database, desk.plans)
    shop = Workshop(queue, lambda _: OneFile(data), {options.type: pipeline}, Scratch(home / "scratch"))
    runner = TaskRunner(shop, RunnerPace(poll_s=0.05))
    await runner.start()
    try:
        await until(lambda: _is_over(desk, task_id), 30)
    finally:
        await runner.close()
    task = await desk.store.get(ALICE, task_id)
    assert task.status is Status.SUCCEEDED, task.failure
    assert task.media is not None
    found = await desk.store.result(task)
    assert found is not None
    return {"media": task.media, **from_json(found)}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return ten seconds of a disc that wanders about."""
    path = tmp_path_factory.mktemp("video") / "disc.mp4"
    return render(Recipe(steady(300, 30), gop=15), path).read_bytes()


@pytest.fixture
def desk(sqlite_desk: Desk) -> Desk:
    """Return tasks in SQLite: what is tested here is the same on both."""
    return sqlite_desk


async def test_however_a_video_is_cut(desk: Desk, tmp_path: Path, video: bytes) -> None:
    """One chunk or many, dying workers or none: frames, tracks and summary are the same."""
    options = TaskOptions(TaskType.VIDEO, start_time=1.0, end_time=9.0, sample_rate=5)
    whole, cut, dying = DiscExecutor(), DiscExecutor(), DiscExecutor(deaths=2)
    first = await result_of(desk, tmp_path, video, VideoPipeline(whole), options)
    second = await result_of(desk, tmp_path, video, VideoPipeline(cut, 0.1), options)
    third = await result_of(desk, tmp_path, video, VideoPipeline(dying, 0.1), options)
    assert first == second == third
    assert whole.runs == 1
    assert cut.runs > 3
    assert dying.runs == cut.runs + 2
    assert (first["media"].width, first["media"].height) == (96, 64)
    assert first["media"].duration == pytest.approx(10.0, abs=0.05)
    assert [frame["timestamp"] for frame in first["frames"]] == pytest.approx(
        [1 + each / 5 for each in range(40)], abs=0.04
    )
    numbers = [face["face_id"] for frame in first["frames"] for face in frame["faces"]]
    assert numbers == [f"f_{number:02d}" for number in range(1, len(numbers) + 1)]
    assert {face["track_id"] for frame in first["frames"] for face in frame["faces"]} == {
        track["track_id"] for track in first["face_tracks"]
    }
    assert first["summary"]["total_faces"] == len(first["face_tracks"]) > 0


async def test_an_animation(desk: Desk, tmp_path: Path) -> None:
    """A GIF gives frames by its own delays, tracks and a summary."""
    pictures = [Image.fromarray(drawn(index)[:, :, ::-1]) for index in range(8)]
    data = io.BytesIO()
    pictures[0].save(data, "GIF", save_all=True, append_images=pictures[1:], duration=250, loop=0)
    options = TaskOptions(TaskType.GIF, sample_rate=4)
    found = await result_of(desk, tmp_path, data.getvalue(), AnimationPipeline(DiscExecutor()), options)
    assert [frame["timestamp"] for frame in found["frames"]] == [each / 4 for each in range(8)]
    assert found["media"].duration == 2.0
    assert found["summary"]["total_faces"] == len(found["face_tracks"])


async def test_a_start_after_the_end_is_told(desk: Desk, tmp_path: Path, video: bytes) -> None:
    """A span that holds nothing fails the task as a request that makes no sense."""
    options = TaskOptions(TaskType.VIDEO, start_time=60.0)
    with pytest.raises(AssertionError, match="start_time"):
        await result_of(desk, tmp_path, video, VideoPipeline(DiscExecutor()), options)


async def _is_over(desk: Desk, task_id: UUID) -> bool:
    return (await desk.store.get(ALICE, task_id)).status.is_terminal
