"""Chunks of mask tasks as they are given away: what is to be found or written, and who does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pydantic_core import to_json

from pipelines.redact.animation import write_animation
from pipelines.redact.write import write_chunk

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping
    from pathlib import Path

    from pipelines.redact.animation import EveryPicture
    from pipelines.redact.find import EveryFrame
    from pipelines.redact.write import Box, WriteJob
    from pipelines.results import MaskOptions
    from pipelines.video.analyze_chunk import FrameOptions
    from pipelines.video.animation import AnimationInfo


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
