"""Videos and animations as tasks: planned here, analysed chunk by chunk wherever the executor does it.

probe -> chunks -> [executor: decode, sample, detect -> record] -> assembler, in order -> frames and tracks
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from app.tasks.ports import Merged
from app.tasks.values import ChunkPlan, MediaFacts, MediaPlan
from pipelines.errors import InvalidOption
from pipelines.video.analyze_chunk import FrameOptions, Frames
from pipelines.video.animation import probe_animation
from pipelines.video.assembly import Assembler
from pipelines.video.plan import CHUNK_WORK_S, plan_chunks
from pipelines.video.probe import probe_video
from pipelines.video.records import read_record
from pipelines.video.sampling import Sampling

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from app.tasks.ports import Merging
    from app.tasks.values import TaskOptions

#: Chunks of other rules than these are not mixed with theirs.
_RULES = 1


@dataclass(frozen=True, slots=True)
class ChunkJob:
    """All that is needed to analyse a part of a file, on any process that can read it.

    Attributes:
        owner: whose file it is.
        frames: the part.
        options: what is asked of each frame.
    """

    owner: uuid.UUID
    frames: Frames
    options: FrameOptions

    @property
    def path(self) -> Path:
        """Return the file."""
        return self.frames.path

    @property
    def work_s(self) -> float:
        """Return what one thread is expected to need; 0 where nobody knows."""
        media = self.frames.media
        return media[1].work_s if isinstance(media, tuple) else 0.0


class ChunkExecutor(Protocol):
    """Analyses chunks somewhere; it decides how many at once it takes, over all tasks."""

    async def run(self, job: ChunkJob) -> bytes:
        """Return the chunk's record, as `pipelines.video.records.write_record` makes it.

        Cancelling the call ends the work.

        Raises:
            CallerError: the media cannot be used.
            Unavailable: it may be tried again later.
            WorkerDied: whoever did it is gone.
        """


class VideoPipeline:
    """Analyses videos.

    Args:
        executor: who analyses chunks.
        chunk_work_s: seconds of one thread's work that make a chunk.
    """

    def __init__(self, executor: ChunkExecutor, chunk_work_s: float = CHUNK_WORK_S) -> None:
        self._executor = executor
        self._chunk_work_s = chunk_work_s

    async def open(self, path: Path, options: TaskOptions, owner: uuid.UUID) -> VideoWork:
        """Probe a video and plan its chunks."""
        sampling = _sampling(options)
        probe = await asyncio.to_thread(probe_video, path)
        chunks = await asyncio.to_thread(plan_chunks, probe, sampling, self._chunk_work_s)
        info = probe.info
        jobs = [
            ChunkJob(owner, Frames(path, info.size, sampling, (info, chunk)), _asked(options))
            for chunk in chunks
        ]
        total = sum(max(chunk.samples, 1) for chunk in chunks)
        spans = [max(chunk.samples, 1) / total for chunk in chunks]
        return VideoWork(self._executor, jobs, spans, info.size, info.duration_s)


class AnimationPipeline:
    """Analyses GIF and APNG."""

    def __init__(self, executor: ChunkExecutor) -> None:
        self._executor = executor

    async def open(self, path: Path, options: TaskOptions, owner: uuid.UUID) -> VideoWork:
        """Look at an animation."""
        sampling = _sampling(options)
        info = await asyncio.to_thread(probe_animation, path)
        job = ChunkJob(owner, Frames(path, info.size, sampling, info), _asked(options))
        return VideoWork(self._executor, [job], [1.0], info.size, info.duration_s)


class VideoWork:
    """One file under analysis."""

    def __init__(
        self,
        executor: ChunkExecutor,
        jobs: list[ChunkJob],
        spans: list[float],
        size: tuple[int, int],
        duration_s: float,
    ) -> None:
        self._executor = executor
        self._jobs = jobs
        self._size = size
        self._rate = jobs[0].frames.sampling.rate if jobs else 1
        billed_s = _analysed_s(jobs[0].frames.sampling, duration_s) if jobs else 0.0
        self.plan = MediaPlan(
            MediaFacts(size[0], size[1], round(duration_s, 3)),
            tuple(
                ChunkPlan(number, {"rules": _RULES, "samples": _samples(job)}, span * billed_s)
                for number, (job, span) in enumerate(zip(jobs, spans, strict=True))
            ),
            billed_s,
        )

    async def analyse(self, number: int) -> bytes:
        """Return the record of a chunk."""
        return await self._executor.run(self._jobs[number])

    def merging(self) -> Merging:
        """Begin to follow faces."""
        return _Assembling(Assembler(self._size, self._rate))


class _Assembling:
    """Records in order, as frames are shown."""

    def __init__(self, assembler: Assembler) -> None:
        self._assembler = assembler

    def add(self, outcome: bytes) -> Iterable[Mapping[str, Any]]:
        """Yield the frames of the next chunk."""
        for frame in self._assembler.add(read_record(outcome)):
            yield frame.to_json()

    def finish(self) -> Merged:
        """Return the tracks and the summary."""
        tracks, summary = self._assembler.finish()
        return Merged([track.to_json() for track in tracks], summary.to_json())


def _sampling(options: TaskOptions) -> Sampling:
    return Sampling(options.sample_rate, options.start_time, options.end_time)


def _asked(options: TaskOptions) -> FrameOptions:
    return FrameOptions(options.confidence_threshold, options.min_face_size, frozenset(options.attributes))


def _samples(job: ChunkJob) -> int:
    media = job.frames.media
    return media[1].samples if isinstance(media, tuple) else 0


def _analysed_s(sampling: Sampling, duration_s: float) -> float:
    end = duration_s if sampling.end_s is None else min(duration_s, sampling.end_s)
    if sampling.start_s >= end:
        message = f"start_time is at or after the end of the media, which lasts {duration_s:g} seconds"
        raise InvalidOption(message)
    return end - sampling.start_s
