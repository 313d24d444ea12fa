"""Videos as mask tasks: two passes of chunks, and the whole at the end.

probe -> chunks of both passes
-> find [executor: every frame, its faces] -> cover, over all of it -> write [executor: hidden, encoded]
-> join -> an object

Both passes' outcomes are kept as they are done: of the first the faces, of the second the name of the object
that holds the packets. Whoever resumes the task joins what others wrote.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic_core import from_json, to_json

from app.tasks.mask_jobs import FindJob, WriteChunkJob
from app.tasks.mask_media import RULES, MaskedMedia
from app.tasks.mask_people import who_is_meant
from app.tasks.mask_report import Telling, Told
from app.tasks.values import ChunkPlan, MaskTaskOptions, MediaFacts, MediaPlan
from pipelines.redact.cover import Coverage
from pipelines.redact.find import EveryFrame, read_found
from pipelines.redact.join import can_remux, join, remux
from pipelines.redact.output import OutputOptions, decide
from pipelines.redact.plan import Span, frame_times, plan_redaction
from pipelines.redact.source import look_at
from pipelines.redact.write import WriteJob
from pipelines.video.plan import CHUNK_WORK_S
from pipelines.video.probe import probe_video

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from pathlib import Path

    from app.tasks.mask_jobs import MaskExecutor
    from app.tasks.mask_people import ComparesPeople
    from app.tasks.ports import Keeper, Merging, Outcomes
    from app.tasks.values import TaskOptions
    from pipelines.redact.cover import FoundFrame
    from pipelines.redact.output import OutputFormat
    from pipelines.redact.plan import RedactPlan
    from pipelines.redact.source import SourcePicture
    from pipelines.redact.write import Box
    from pipelines.video.probe import VideoProbe


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
        task = MaskedMedia(self._executor, path, options, asked, owner, keeper, who)
        return _VideoWork(task, _VideoPlans(probe, picture, output, plan))


@dataclass(frozen=True, slots=True)
class _VideoPlans:
    probe: VideoProbe
    picture: SourcePicture
    output: OutputFormat
    plan: RedactPlan


class _VideoWork:
    """One video that is masked."""

    def __init__(self, task: MaskedMedia, plans: _VideoPlans) -> None:
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
                ChunkPlan(number, {"mask_rules": RULES, "write": number >= finds}, share * billed_s / 2)
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
        told = Told(self._coverage, self._times, self._ends, self._plans.probe.info.size, self._task.asked)
        chunks = [None] * len(self.stages[0]) + [
            [self._plans.probe.table.index_at(tick) for group in chunk.groups or () for tick in group.wanted]
            for chunk in self._plans.plan.write
        ]
        more = {"frames": self._frames, "left_out": list(left_out)}
        return Telling(told, chunks, more, self._output)
