"""How long a new task will probably take: its own work, and what waits before it. A guess."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from app.db.task_tables import TaskRow
from app.tasks.values import OPEN, TaskType

if TYPE_CHECKING:
    from app.db.engine import Reading
    from app.tasks.values import MediaFacts, TaskOptions

_BASE_S = {TaskType.IMAGE: 1.0, TaskType.GIF: 3.0, TaskType.VIDEO: 3.0, TaskType.IMPORT: 30.0}
#: A video whose length nobody said yet.
_USUAL_VIDEO_S = 60.0
#: What one core needs for a sampled frame, and for a second of video that it decodes.
_PER_SAMPLE_S = 0.04
_PER_MEDIA_S = 0.15
#: A masked video's frames are all written; what one takes, and how many a second there usually are.
_PER_WRITTEN_S, _USUAL_RATE = 0.02, 30
#: Tasks that are thought to run side by side.
_SIDE_BY_SIDE = 2


async def estimate_s(tx: Reading, options: TaskOptions) -> int:
    """Return the whole seconds until a task that is created now will be done."""
    open_s = await tx.scalar(select(func.sum(TaskRow.estimated_s)).where(TaskRow.status.in_(OPEN)))
    # Each of them was estimated with its own wait; the work is about what the last of them waits for.
    waits = await tx.scalar(select(func.max(TaskRow.estimated_s)).where(TaskRow.status.in_(OPEN)))
    wait_s = min(float(open_s or 0) / _SIDE_BY_SIDE, float(waits or 0))
    return math.ceil(work_s(options) + wait_s)


def work_s(options: TaskOptions, media: MediaFacts | None = None) -> float:
    """Return how long the analysis alone will take; better once the media is known."""
    base = _BASE_S[options.type]
    if options.type is not TaskType.VIDEO:
        return base
    end = media.duration if media is not None else options.end_time
    last = min(end, options.end_time or end) if end is not None else options.start_time + _USUAL_VIDEO_S
    span = max(0.0, last - options.start_time)
    if options.mask is not None:
        return base + span * (
            _PER_MEDIA_S + _USUAL_RATE * (_PER_WRITTEN_S + _PER_SAMPLE_S / options.mask.every)
        )
    return base + span * (_PER_MEDIA_S + options.sample_rate * _PER_SAMPLE_S)
