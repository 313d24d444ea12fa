"""Mask tasks through the runner: one masked film, however it is cut and whoever dies; no part is left."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pydantic_core import from_json
from sqlalchemy import select

from app.db.tables import CleanupTaskRow
from app.db.task_tables import TaskObjectRow
from app.records.cleanup import Cleanup
from app.storage.local import LocalStore
from app.storage.signing import UrlSigner
from app.tasks.mask_animation import MaskAnimationPipeline
from app.tasks.mask_image import MaskImagePipeline
from app.tasks.mask_video import MaskVideoPipeline
from app.tasks.objects import TaskObjects, UrlOptions
from app.tasks.runner import RunnerPace, TaskRunner
from app.tasks.running import Workshop
from app.tasks.scratch import Scratch
from app.tasks.signing import TextSigner
from app.tasks.store import TaskStore
from app.tasks.values import MaskTaskOptions, NewTask, Report, Status, TaskOptions, TaskType, read_task_id
from pipelines.redact.output import Codec, Container
from pipelines.results import MaskMethod
from pipelines.video.probe import probe_video
from tests.app.records.requests import until
from tests.app.tasks.chunked import OneFile
from tests.app.tasks.conftest import ALICE, BIG
from tests.app.tasks.disc_masking import DiscMasker, disc
from tests.fakes.engine import FakeEngine
from tests.pipelines.redact.redacting import packets, times
from tests.pipelines.video.edit_list import with_edits
from tests.pipelines.video.rendered import Recipe, drawn, every_frame, render, steady

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from app.tasks.ports import MaskPipeline
    from tests.app.tasks.conftest import Desk

SOLID = MaskTaskOptions(MaskMethod.SOLID, report=Report.FRAMES)


@dataclass
class Masking:
    """Mask tasks of a database and a folder."""

    desk: Desk
    home: Path
    store: TaskStore
    place: LocalStore
    objects: TaskObjects

    def runner(self, pipeline: MaskPipeline, options: TaskOptions, data: bytes) -> TaskRunner:
        """Return a runner over one file."""
        shop = Workshop(
            self.desk.queue,
            lambda _: OneFile(data),
            {},
            Scratch(self.home / "scratch"),
            maskers={options.type: pipeline},
            objects=self.objects,
        )
        return TaskRunner(shop, RunnerPace(lease_s=1.0, poll_s=0.05, check_s=0.2))

    async def create(self, options: TaskOptions) -> UUID:
        """Queue a task."""
        answer = await self.store.create(ALICE, BIG, NewTask(options, "https://example.com/v"), "req_1")
        task_id = read_task_id(answer["task_id"])
        assert task_id is not None
        return task_id

    async def result(self, pipeline: MaskPipeline, options: TaskOptions, data: bytes) -> dict[str, Any]:
        """Run a task to its end and return its result."""
        task_id = await self.create(options)
        runner = self.runner(pipeline, options, data)
        await runner.start()
        try:
            await until(lambda: self.is_over(task_id), 40)
        finally:
            await runner.close()
        return await self.read(task_id)

    async def read(self, task_id: UUID) -> dict[str, Any]:
        """Return a result, with the output's file."""
        task = await self.store.get(ALICE, task_id)
        assert task.status is Status.SUCCEEDED, task.failure
        found = from_json(await self.store.result(task, "http://here") or b"")
        (key,) = await self.keys(task_id)
        target = self.home / f"{task_id.hex}.{key.rpartition('.')[2]}"
        target.write_bytes(b"".join([piece async for piece in self.place.get(key)]))
        assert found["output"]["size"] == target.stat().st_size
        assert found["output"]["url"].startswith(f"http://here/files/{key}?")
        return {**found, "file": target, "task_id": task_id}

    async def is_over(self, task_id: UUID) -> bool:
        """Tell whether a task has ended."""
        return (await self.store.get(ALICE, task_id)).status.is_terminal

    async def keys(self, task_id: UUID) -> list[str]:
        """Return the objects that belong to a task."""
        async with self.desk.database.read() as tx:
            query = select(TaskObjectRow.object_key).where(TaskObjectRow.task_id == task_id)
            return list(await tx.scalars(query))

    async def condemned(self) -> set[str]:
        """Return the objects that are to go."""
        async with self.desk.database.read() as tx:
            return set(await tx.scalars(select(CleanupTaskRow.object_key)))

    def files(self) -> set[str]:
        """Return the objects that are there."""
        root = self.home / "objects"
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def masking(sqlite_desk: Desk, tmp_path: Path) -> Masking:
    """Return tasks in SQLite with objects in a folder."""
    place = LocalStore(tmp_path / "objects", UrlSigner(b"s" * 32, "/files"))
    database = sqlite_desk.database
    objects = TaskObjects(database, place, Cleanup(database, place), UrlOptions())
    store = TaskStore(database, TextSigner(database), objects=objects)
    return Masking(sqlite_desk, tmp_path, store, place, objects)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return five seconds of a disc that wanders about."""
    path = tmp_path_factory.mktemp("video") / "disc.mp4"
    return render(Recipe(steady(150, 30), gop=15), path)


def options_of(kind: TaskType, **changes: Any) -> TaskOptions:  # noqa: ANN401 - whatever an option is
    """Return a mask task's options."""
    return TaskOptions(kind, min_face_size=0, mask=SOLID, **changes)


def discs(path: Path) -> int:
    """Return in how many frames the disc can be seen."""
    return sum(len(disc(frame.to_ndarray(format="bgr24"))) > 0 for _, frame in every_frame(path))


async def test_however_a_film_is_cut(masking: Masking, video: Path) -> None:
    """One chunk or many, dying workers or none: the same frames, all at their times, none with the disc."""
    options = options_of(TaskType.VIDEO)
    whole, cut, dying = DiscMasker(), DiscMasker(), DiscMasker(deaths=2)
    data = video.read_bytes()  # noqa: ASYNC240 - a test's file
    first = await masking.result(MaskVideoPipeline(whole), options, data)
    second = await masking.result(MaskVideoPipeline(cut, 0.001), options, data)
    third = await masking.result(MaskVideoPipeline(dying, 0.001), options, data)
    assert whole.done.count("write") == 1
    assert cut.done.count("find") > 2
    assert cut.done.count("write") > 2
    assert cut.done == sorted(cut.done)
    assert discs(video) > 100
    for result in (first, second, third):
        assert times(result["file"]) == times(video)
        assert discs(result["file"]) == 0
        assert result["summary"] == {**first["summary"], "frames": 150}
        assert result["frames"] == first["frames"]
        assert result["face_tracks"] == first["face_tracks"]
        assert result["output"]["content_type"] == "video/mp4"
        assert await masking.keys(result["task_id"]) != []
    shown = {frame["timestamp"]: frame["faces"] for frame in first["frames"]}
    assert len(shown) == 150
    assert sum(bool(regions) for regions in shown.values()) == first["summary"]["masked_frames"] > 100


async def test_parts_are_removed_and_the_output_stays(masking: Masking, video: Path) -> None:
    """After its end a task has one object; deleting it leaves none."""
    data = video.read_bytes()  # noqa: ASYNC240 - a test's file
    found = await masking.result(MaskVideoPipeline(DiscMasker(), 0.001), options_of(TaskType.VIDEO), data)
    (output,) = await masking.keys(found["task_id"])
    assert masking.files() == await masking.condemned() | {output}
    await masking.store.delete(ALICE, found["task_id"])
    assert output not in masking.files()


async def test_a_killed_runner_loses_no_chunk(masking: Masking, video: Path) -> None:
    """Another runner goes on with what the first has found and written, and joins both."""
    data = video.read_bytes()  # noqa: ASYNC240 - a test's file
    options = options_of(TaskType.VIDEO)

    class Stopping(DiscMasker):
        async def run(self, job: Any) -> bytes:  # noqa: ANN401 - of either pass
            if self.done.count("write") >= 2:
                await asyncio.Event().wait()
            return await super().run(job)

    first, second = Stopping(), DiscMasker()
    task_id = await masking.create(options)
    runner = masking.runner(MaskVideoPipeline(first, 0.001), options, data)
    await runner.start()
    await until(lambda: _is_true(first.done.count("write") >= 2), 20)
    await asyncio.sleep(0.5)
    await runner.close()
    runner = masking.runner(MaskVideoPipeline(second, 0.001), options, data)
    await runner.start()
    try:
        await until(lambda: masking.is_over(task_id), 20)
    finally:
        await runner.close()
    assert "find" not in second.done
    assert first.done.count("write") + second.done.count("write") < 2 * first.done.count("find") + 10
    found = await masking.read(task_id)
    assert times(found["file"]) == times(video)
    assert discs(found["file"]) == 0


async def test_cancelling_leaves_nothing(masking: Masking, video: Path) -> None:
    """A task that is cancelled while it writes has all of its parts removed."""
    data = video.read_bytes()  # noqa: ASYNC240 - a test's file
    options = options_of(TaskType.VIDEO)

    class Slow(DiscMasker):
        async def run(self, job: Any) -> bytes:  # noqa: ANN401 - of either pass
            if self.done.count("write") >= 2:
                await asyncio.Event().wait()
            return await super().run(job)

    slow = Slow()
    task_id = await masking.create(options)
    runner = masking.runner(MaskVideoPipeline(slow, 0.001), options, data)
    await runner.start()
    await until(lambda: _is_true(slow.done.count("write") >= 2), 20)
    await asyncio.sleep(0.3)
    await masking.store.cancel(ALICE, task_id)
    await asyncio.sleep(0.6)
    await runner.close()
    assert await masking.keys(task_id) == []
    assert masking.files() <= await masking.condemned()
    assert masking.files()


async def test_a_film_without_faces_is_copied(masking: Masking, tmp_path: Path) -> None:
    """Where nothing is found every packet is the source's."""
    path = render(Recipe(steady(60, 30), codec="libx264", size=(64, 48)), tmp_path / "film.mp4")
    options = TaskOptions(TaskType.VIDEO, min_face_size=500, mask=SOLID)
    masker = DiscMasker()
    found = await masking.result(MaskVideoPipeline(masker), options, path.read_bytes())
    assert set(masker.done) == {"find"}
    assert packets(found["file"], "video") == packets(path, "video")
    assert found["summary"]["masked_frames"] == 0


async def test_a_film_without_faces_becomes_what_was_asked_for(masking: Masking, tmp_path: Path) -> None:
    """A codec or a container that the source's picture is not in is written anew, whether faces are found."""
    path = render(Recipe(steady(60, 30), codec="libx264", size=(64, 48)), tmp_path / "film.mp4")
    for container, codec, expected in (
        (Container.MKV, None, "h264"),
        (None, Codec.HEVC, "hevc"),
        (Container.WEBM, None, "vp9"),
    ):
        mask = replace(SOLID, container=container, codec=codec)
        options = TaskOptions(TaskType.VIDEO, min_face_size=500, mask=mask)
        found = await masking.result(MaskVideoPipeline(DiscMasker()), options, path.read_bytes())
        assert probe_video(found["file"]).info.codec == expected
        assert times(found["file"]) == [pytest.approx(at, abs=1e-3) for at in times(path)]
        assert found["summary"]["frames"] == 60


async def test_what_nobody_looked_at_is_not_in_the_output(masking: Masking, tmp_path: Path) -> None:
    """Frames that an edit list cuts away are in no output, though nothing is found in the others."""
    plain = render(Recipe(steady(90, 30)), tmp_path / "plain.mp4")
    path = with_edits(plain, tmp_path / "film.mp4", [(2000, 9_000)])
    options = TaskOptions(TaskType.VIDEO, min_face_size=500, mask=SOLID)
    found = await masking.result(MaskVideoPipeline(DiscMasker(), 0.001), options, path.read_bytes())
    assert found["summary"]["masked_frames"] == 0
    assert times(found["file"]) == times(path)
    (written,) = packets(found["file"], "video").values()
    assert len(written) == len(times(path)) < 90


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
async def test_an_animation(masking: Masking, kind: str) -> None:
    """An animation is masked in every frame and keeps its delays."""
    pictures = [Image.fromarray(drawn(index)[:, :, ::-1]) for index in range(8)]
    data = io.BytesIO()
    pictures[0].save(data, kind, save_all=True, append_images=pictures[1:], duration=250, loop=3)
    found = await masking.result(
        MaskAnimationPipeline(DiscMasker()), options_of(TaskType.GIF), data.getvalue()
    )
    with Image.open(found["file"]) as image:
        assert image.info["loop"] == 3
        assert image.n_frames == 8
        for index in range(8):
            image.seek(index)
            assert image.info["duration"] == 250
            assert not len(disc(np.asarray(image.convert("RGB"))[:, :, ::-1]))
    assert found["output"]["content_type"] == ("image/gif" if kind == "GIF" else "image/png")
    assert [frame["timestamp"] for frame in found["frames"]] == [index / 4 for index in range(8)]


async def test_a_picture(masking: Masking) -> None:
    """A picture comes back in its own kind with its faces hidden."""
    pixels = np.full((480, 640, 3), 200, np.uint8)
    data = cv2.imencode(".webp", pixels)[1].tobytes()
    options = options_of(TaskType.IMAGE)
    found = await masking.result(MaskImagePipeline(FakeEngine(remembers=False)), options, data)
    assert found["output"]["content_type"] == "image/webp"
    (frame,) = found["frames"]
    assert found["summary"]["total_faces"] == len(frame["faces"]) > 0
    masked = cv2.imread(str(found["file"]))
    assert masked is not None
    for region in frame["faces"]:
        x, y, width, height = region["bbox"]
        assert masked[y + height // 2, x + width // 2].max() < 20


async def test_a_picture_loses_place_and_device(masking: Masking) -> None:
    """Neither where, when nor with what a picture was taken comes through; it comes out upright."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera & Sons", 6
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0)})
    written = io.BytesIO()
    Image.new("RGB", (320, 200), "white").save(written, "JPEG", exif=exif, comment=b"taken at home")
    assert b"Camera & Sons" in written.getvalue()
    found = await masking.result(
        MaskImagePipeline(FakeEngine(remembers=False)), options_of(TaskType.IMAGE), written.getvalue()
    )
    data = found["file"].read_bytes()
    assert all(word not in data for word in (b"Exif", b"Camera & Sons", b"taken at home"))
    with Image.open(found["file"]) as image:
        assert image.size == (200, 320)
        assert not image.getexif()


async def _is_true(value: bool) -> bool:  # noqa: FBT001 - a condition
    return value
