"""Videos and animations as mask tasks: two passes of chunks, and the whole at the end.

probe -> chunks of both passes
-> find [executor: every frame, its faces] -> cover, over all of it -> write [executor: hidden, encoded]
-> join -> an object

Both passes' outcomes are kept as they are done: of the first the faces, of the second the name of the object
that holds the packets. Whoever resumes the task joins what others wrote.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from pydantic_core import from_json, to_json

from app.tasks.mask_people import who_is_meant
from app.tasks.ports import Merged
from app.tasks.values import ChunkPlan, MaskTaskOptions, MediaFacts, MediaPlan, Report
from pipelines.boxes import grow
from pipelines.errors import InvalidMedia
from pipelines.redact.animation import EveryPicture, picture_times, write_animation
from pipelines.redact.choose import Candidates
from pipelines.redact.cover import Coverage, CoverOptions, cover, without
from pipelines.redact.find import FAINT, EveryFrame, large_side, read_found
from pipelines.redact.join import can_remux, join, remux
from pipelines.redact.output import OutputOptions, decide
from pipelines.redact.plan import Span, frame_times, plan_redaction
from pipelines.redact.source import look_at
from pipelines.redact.write import WriteJob, write_chunk
from pipelines.results import MaskOptions
from pipelines.video.analyze_chunk import FrameOptions
from pipelines.video.animation import probe_animation
from pipelines.video.assembly import whole_box
from pipelines.video.plan import CHUNK_WORK_S
from pipelines.video.probe import probe_video

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from app.tasks.mask_people import ComparesPeople, WhoIsMeant
    from app.tasks.ports import Keeper, Merging, Outcomes
    from app.tasks.values import TaskOptions
    from pipelines.redact.cover import FoundFrame
    from pipelines.redact.output import OutputFormat
    from pipelines.redact.plan import RedactPlan
    from pipelines.redact.source import SourcePicture
    from pipelines.redact.write import Box
    from pipelines.video.animation import AnimationInfo
    from pipelines.video.probe import VideoProbe

#: Chunks of other rules than these are not mixed with theirs.
_RULES = 1


@dataclass(frozen=True, slots=True)
class FindJob:
    """All that is needed to find the faces of a chunk, on any process that can read the file.

    Attributes:
        owner: whose file it is.
        frames: the chunk.
        options: what is asked of each frame.
        work_s: what one thread is expected to need.
    """

    owner: uuid.UUID
    frames: EveryFrame | EveryPicture
    options: FrameOptions
    work_s: float

    @property
    def path(self) -> Path:
        """Return the file."""
        return self.frames.path


@dataclass(frozen=True, slots=True)
class WriteChunkJob:
    """All that is needed to write a chunk; the target lies beside the source."""

    owner: uuid.UUID
    work: WriteJob
    target: Path

    @property
    def path(self) -> Path:
        """Return the file."""
        return self.work.path

    @property
    def work_s(self) -> float:
        """Return what one thread is expected to need."""
        return self.work.chunk.work_s

    def run(self) -> bytes:
        """Write it on this thread, and return how many frames it has, as JSON."""
        return to_json(write_chunk(self.work, self.target))


@dataclass(frozen=True, slots=True)
class WriteAnimationJob:
    """All that is needed to write an animation."""

    owner: uuid.UUID
    path: Path
    info: AnimationInfo
    boxes: Mapping[int, tuple[Box, ...]]
    mask: MaskOptions
    target: Path
    work_s: float = 0.0

    def run(self) -> bytes:
        """Write it on this thread, and return how many frames it has, as JSON."""
        return to_json(write_animation(self.path, self.info, self.boxes, self.mask, self.target))


MaskJob = FindJob | WriteChunkJob | WriteAnimationJob


class MaskExecutor(Protocol):
    """Does chunks of both passes somewhere; it decides how many at once it takes, over all tasks."""

    async def run(self, job: MaskJob) -> bytes:
        """Do a chunk: `find_faces` for what is to be found, the job's own `run` for what is to be written.

        Cancelling the call ends the work.

        Raises:
            CallerError: the media cannot be used.
            Unavailable: it may be tried again later.
            WorkerDied: whoever did it is gone.
        """


class MaskVideoPipeline:
    """Masks videos.

    Args:
        executor: who does chunks.
        chunk_work_s: seconds of one thread's work that make a chunk.
        people: who knows people; None where nobody is recognised.
    """

    def __init__(
        self,
        executor: MaskExecutor,
        chunk_work_s: float = CHUNK_WORK_S,
        people: ComparesPeople | None = None,
    ) -> None:
        self._executor = executor
        self._chunk_work_s = chunk_work_s
        self._people = people

    async def open(self, path: Path, options: TaskOptions, owner: uuid.UUID, keeper: Keeper) -> _VideoWork:
        """Probe a video and plan both passes."""
        asked = options.mask or MaskTaskOptions()
        who = await who_is_meant(self._people, options, owner)
        probe = await asyncio.to_thread(probe_video, path)
        picture = await asyncio.to_thread(look_at, path, probe)
        output = decide(probe.info, picture, OutputOptions(asked.container, asked.codec, asked.quality))
        span = Span(options.start_time, options.end_time, asked.every)
        plan = await asyncio.to_thread(plan_redaction, probe, span, self._chunk_work_s)
        task = _Task(self._executor, path, options, asked, owner, keeper, who)
        return _VideoWork(task, _VideoPlans(probe, picture, output, plan))


class MaskAnimationPipeline:
    """Masks GIF and APNG.

    Args:
        executor: who does chunks.
        people: who knows people; None where nobody is recognised.
    """

    def __init__(self, executor: MaskExecutor, people: ComparesPeople | None = None) -> None:
        self._executor = executor
        self._people = people

    async def open(
        self, path: Path, options: TaskOptions, owner: uuid.UUID, keeper: Keeper
    ) -> _AnimationWork:
        """Look at an animation."""
        info = await asyncio.to_thread(probe_animation, path)
        asked = options.mask or MaskTaskOptions()
        who = await who_is_meant(self._people, options, owner)
        return _AnimationWork(_Task(self._executor, path, options, asked, owner, keeper, who), info)


@dataclass(frozen=True, slots=True)
class _Task:
    """What both kinds of work have in common."""

    executor: MaskExecutor
    path: Path
    options: TaskOptions
    asked: MaskTaskOptions
    owner: uuid.UUID
    keeper: Keeper
    who: WhoIsMeant | None

    @property
    def mask(self) -> MaskOptions:
        return MaskOptions(self.asked.method, self.asked.strength, self.asked.padding)

    def found(self, size: tuple[int, int], tick_s: float = 1.0) -> FrameOptions:
        """Return what is asked of each frame: also faces that are less sure, for tracks that are."""
        smallest = self.options.min_face_size
        return FrameOptions(
            self.options.confidence_threshold * FAINT,
            smallest,
            large_side=large_side(size, smallest),
            embed=self.who is not None,
            tick_s=tick_s,
        )

    async def covered(
        self, found: Sequence[FoundFrame], times: Sequence[float], options: CoverOptions
    ) -> Coverage:
        """Return what is hidden: of everybody, or of whom it is asked."""
        if self.who is not None:
            candidates = await asyncio.to_thread(Candidates, found, times, options)
            scores = await self.who.scores(candidates.vectors)
            shown = await asyncio.to_thread(candidates.shown, scores, self.who.chosen)
            found = without(found, shown)
        return await asyncio.to_thread(cover, found, times, options)

    def padded(self, coverage: Coverage) -> dict[int, tuple[Box, ...]]:
        """Return what is hidden in each frame, by its place."""
        found = {}
        for index, regions in coverage.regions.items():
            boxes = grow(np.array([region.box for region in regions], np.float32), self.asked.padding)
            found[index] = tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in boxes.tolist())
        return found

    def beside(self, name: str) -> Path:
        """Return a path beside the media."""
        return self.path.with_name(f"{self.path.name}-{name}")


@dataclass(frozen=True, slots=True)
class _VideoPlans:
    probe: VideoProbe
    picture: SourcePicture
    output: OutputFormat
    plan: RedactPlan


class _VideoWork:
    """One video that is masked."""

    def __init__(self, task: _Task, plans: _VideoPlans) -> None:
        self._task, self._plans = task, plans
        probe, plan = plans.probe, plans.plan
        finds, writes = len(plan.find), len(plan.write)
        self.stages: tuple[range, ...] = (range(finds), range(finds, finds + writes))
        times = frame_times(probe)
        # A frame that is shown last is shown until the end.
        ends = [*times[1:], probe.info.duration_s]
        billed_s = ends[plan.last] - times[plan.first]
        shares = [
            chunk.samples / sum(each.samples for each in part)
            for part in (plan.find, plan.write)
            for chunk in part
        ]
        width, height = probe.info.size
        self.plan = MediaPlan(
            MediaFacts(width, height, round(probe.info.duration_s, 3)),
            tuple(
                ChunkPlan(number, {"mask_rules": _RULES, "write": number >= finds}, share * billed_s / 2)
                for number, share in enumerate(shares)
            ),
            billed_s,
        )
        self._times, self._ends = times, ends
        self._coverage = Coverage({})
        self._boxes: dict[int, tuple[Box, ...]] = {}
        self._is_copied = False
        self._written: dict[int, Path] = {}
        self._output: str | None = None
        self._frames = 0

    async def analyse(self, number: int) -> bytes:
        """Find the faces of a chunk, or write one and return its object's name."""
        task, plans = self._task, self._plans
        if number in self.stages[0]:
            chunk = plans.plan.find[number]
            frames = EveryFrame(task.path, plans.probe.info, chunk)
            options = task.found(frames.size, float(plans.probe.info.tick_s))
            return await task.executor.run(FindJob(task.owner, frames, options, chunk.work_s))
        if self._is_copied:
            return to_json({})
        chunk = plans.plan.write[number - len(self.stages[0])]
        ticks = (tick for group in chunk.groups or () for tick in group.wanted)
        table = plans.probe.table
        boxes = {tick: hidden for tick in ticks if (hidden := self._boxes.get(table.index_at(tick)))}
        work = WriteJob(task.path, plans.probe.info, chunk, boxes, task.mask, plans.output)
        target = task.beside(f"chunk-{number}")
        await task.executor.run(WriteChunkJob(task.owner, work, target))
        key = await task.keeper.keep(target, "bin")
        self._written[number] = target
        return to_json({"object": key})

    async def stage_done(self, stage: int, outcome: Outcomes) -> None:
        """Decide what is hidden once all faces are known, or join what was written."""
        if stage == 0:
            found: list[FoundFrame] = []
            for number in self.stages[0]:
                data = await outcome(number)
                found += await asyncio.to_thread(read_found, data, self._plans.probe.table.index_at)
            options = self._plans.plan.cover_options(self._task.options.confidence_threshold)
            self._coverage = await self._task.covered(found, self._times, options)
            self._boxes = self._task.padded(self._coverage)
            # A frame that could not be decoded here might be elsewhere.
            is_all_seen = len(found) == sum(chunk.samples for chunk in self._plans.plan.find)
            self._is_copied = is_all_seen and not self._boxes and await asyncio.to_thread(self._can_be_copied)
            return
        files = []
        for number in self.stages[1]:
            if number not in self._written and (key := from_json(await outcome(number)).get("object")):
                target = self._task.beside(f"chunk-{number}")
                await self._task.keeper.bring(key, target)
                self._written[number] = target
            files += [self._written[number]] if number in self._written else []
        whole = self._task.beside("masked")
        self._frames = await asyncio.to_thread(self._join, files, whole)
        self._output = await self._task.keeper.keep(whole, self._plans.output.container.value)

    def _can_be_copied(self) -> bool:
        info, output, asked = self._plans.probe.info, self._plans.output, self._task.asked
        if asked.codec is not None and asked.codec.value != info.codec:
            return False
        return can_remux(self._task.path, info, output.container, self._task.beside("headers"))

    def _join(self, files: Sequence[Path], target: Path) -> int:
        probe, output = self._plans.probe, self._plans.output
        if self._is_copied:
            remux(self._task.path, probe.info, output.container, target)
            return len(self._times)
        return join(self._task.path, probe.info, probe.table.end, output, files, target)

    def merging(self) -> Merging:
        """Begin to tell what was masked."""
        left_out = self._plans.picture.left_out
        told = _Told(self._coverage, self._times, self._ends, self._plans.probe.info.size, self._task.asked)
        chunks = [None] * len(self.stages[0]) + [
            [self._plans.probe.table.index_at(tick) for group in chunk.groups or () for tick in group.wanted]
            for chunk in self._plans.plan.write
        ]
        more = {"frames": self._frames, "left_out": list(left_out)}
        return _Telling(told, chunks, more, self._output)


class _AnimationWork:
    """One animation that is masked."""

    stages: tuple[range, ...] = (range(1), range(1, 2))

    def __init__(self, task: _Task, info: AnimationInfo) -> None:
        self._task, self._info = task, info
        billed_s = info.duration_s
        width, height = info.size
        self.plan = MediaPlan(
            MediaFacts(width, height, round(billed_s, 3)),
            tuple(
                ChunkPlan(number, {"mask_rules": _RULES, "write": bool(number)}, billed_s / 2)
                for number in range(2)
            ),
            billed_s,
        )
        self._times = picture_times(info)
        self._coverage = Coverage({})
        self._output: str | None = None

    async def analyse(self, number: int) -> bytes:
        """Find the faces, or write the animation and return its object's name."""
        task = self._task
        if number == 0:
            frames = EveryPicture(task.path, self._info)
            return await task.executor.run(FindJob(task.owner, frames, task.found(frames.size), 0.0))
        target = task.beside("masked")
        boxes = task.padded(self._coverage)
        await task.executor.run(
            WriteAnimationJob(task.owner, task.path, self._info, boxes, task.mask, target)
        )
        key = await task.keeper.keep(target, "gif" if self._info.kind.value == "gif" else "png")
        return to_json({"object": key})

    async def stage_done(self, stage: int, outcome: Outcomes) -> None:
        """Decide what is hidden once all faces are known."""
        if stage:
            self._output = from_json(await outcome(1))["object"]
            return
        found = read_found(await outcome(0), int)
        if len(found) != len(self._times):
            message = "a frame of the animation could not be looked at"
            raise InvalidMedia(message)
        options = CoverOptions(self._task.options.confidence_threshold, 0, len(self._times) - 1)
        self._coverage = await self._task.covered(found, self._times, options)

    def merging(self) -> Merging:
        """Begin to tell what was masked."""
        ends = [*self._times[1:], self._info.duration_s]
        told = _Told(self._coverage, self._times, ends, self._info.size, self._task.asked)
        more = {"frames": len(self._times)}
        return _Telling(told, [None, list(range(len(self._times)))], more, self._output)


@dataclass(frozen=True, slots=True)
class _Told:
    """What was masked, in seconds and pixels."""

    coverage: Coverage
    times: Sequence[float]
    ends: Sequence[float]
    size: tuple[int, int]
    asked: MaskTaskOptions

    def frame(self, index: int) -> dict[str, Any]:
        faces = [
            {"bbox": list(whole_box(region.box, self.size)), "track_id": f"t_{region.track}"}
            for region in self.coverage.regions.get(index, ())
        ]
        return {"timestamp": round(self.times[index], 6), "faces": faces}

    def tracks(self) -> list[dict[str, Any]]:
        return [
            {
                "track_id": f"t_{track}",
                "person_id": None,
                "appears_at": round(self.times[first], 6),
                "disappears_at": round(self.ends[last], 6),
            }
            for track, first, last in self.coverage.spans()
        ]


class _Telling:
    """Tells what was masked: nothing of the chunks that find, the frames of those that write."""

    def __init__(
        self, told: _Told, chunks: Sequence[list[int] | None], more: Mapping[str, Any], output: str | None
    ) -> None:
        self._told, self._more, self._output = told, more, output
        self._chunks = iter(chunks)

    def add(self, outcome: bytes) -> Iterable[Mapping[str, Any]]:  # noqa: ARG002 - known already
        """Yield the frames of the next chunk, where they are asked for."""
        indices = next(self._chunks) or []
        if self._told.asked.report is Report.FRAMES:
            yield from map(self._told.frame, indices)

    def finish(self) -> Merged:
        """Return when each track was masked, and the summary."""
        regions = self._told.coverage.regions
        count = len({region.track for hidden in regions.values() for region in hidden})
        tracks = [] if self._told.asked.report is Report.NONE else self._told.tracks()
        summary = {"total_faces": count, "masked_frames": len(regions), **self._more}
        return Merged(tracks, summary, self._output)
