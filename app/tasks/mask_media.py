"""What masked videos and animations have in common: what is looked for, and what of it is hidden."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.boxes import grow
from pipelines.redact.choose import Candidates
from pipelines.redact.cover import cover, without
from pipelines.redact.find import FAINT, large_side
from pipelines.results import MaskOptions
from pipelines.video.analyze_chunk import FrameOptions

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from pathlib import Path

    from app.tasks.mask_jobs import MaskExecutor
    from app.tasks.mask_people import WhoIsMeant
    from app.tasks.ports import Keeper
    from app.tasks.values import MaskTaskOptions, TaskOptions
    from pipelines.redact.cover import Coverage, CoverOptions, FoundFrame
    from pipelines.redact.write import Box

#: Chunks of other rules than these are not mixed with theirs.
RULES = 1


@dataclass(frozen=True, slots=True)
class MaskedMedia:
    """Media that a task masks.

    Attributes:
        executor: who does chunks.
        path: the file.
        options, asked: what the task is asked for, and of masks.
        owner: of the task.
        keeper: keeps what is made.
        who: knows whom it is about; None where everybody is hidden.
    """

    executor: MaskExecutor
    path: Path
    options: TaskOptions
    asked: MaskTaskOptions
    owner: uuid.UUID
    keeper: Keeper
    who: WhoIsMeant | None

    @property
    def mask(self) -> MaskOptions:
        """Return how faces are hidden."""
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
