"""GIF and APNG as mask tasks: one chunk finds the faces, another writes the animation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pydantic_core import from_json, to_json

from app.tasks.mask_jobs import FindJob, WriteAnimationJob
from app.tasks.mask_media import RULES, MaskedMedia
from app.tasks.mask_people import who_is_meant
from app.tasks.mask_report import Telling, Told
from app.tasks.values import ChunkPlan, MaskTaskOptions, MediaFacts, MediaPlan
from pipelines.errors import InvalidMedia
from pipelines.redact.animation import EveryPicture, picture_times
from pipelines.redact.cover import Coverage, CoverOptions
from pipelines.redact.find import read_found
from pipelines.video.animation import probe_animation

if TYPE_CHECKING:
    import uuid
    from pathlib import Path

    from app.tasks.mask_jobs import MaskExecutor
    from app.tasks.mask_people import ComparesPeople
    from app.tasks.ports import Keeper, Merging, Outcomes
    from app.tasks.values import TaskOptions
    from pipelines.video.animation import AnimationInfo


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
        return _AnimationWork(MaskedMedia(self._executor, path, options, asked, owner, keeper, who), info)


class _AnimationWork:
    """One animation that is masked."""

    stages: tuple[range, ...] = (range(1), range(1, 2))

    def __init__(self, task: MaskedMedia, info: AnimationInfo) -> None:
        self._task, self._info = task, info
        billed_s = info.duration_s
        width, height = info.size
        self.plan = MediaPlan(
            MediaFacts(width, height, round(billed_s, 3)),
            tuple(
                ChunkPlan(number, {"mask_rules": RULES, "write": bool(number)}, billed_s / 2)
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
        told = Told(self._coverage, self._times, ends, self._info.size, self._task.asked)
        more = {"frames": len(self._times)}
        return Telling(told, [None, list(range(len(self._times)))], more, self._output)
