"""Videos and animations as tasks: planned here, analysed chunk by chunk wherever the executor does it.

probe -> chunks -> [executor: decode, sample, detect -> record] -> assembler, in order -> frames and tracks
                                                        '-> looks of tracks -> who they are -'

Where people are to be recognised the records are read twice: only at a track's end it is known who it is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from app.tasks.ports import Merged
from app.tasks.recognizing import who_recognizes
from app.tasks.values import ChunkPlan, MediaFacts, MediaPlan
from pipelines.errors import InvalidOption
from pipelines.video.analyze_chunk import FrameOptions, Frames
from pipelines.video.animation import probe_animation
from pipelines.video.assembly import Assembler
from pipelines.video.identities import Identities, TrackLooks, appearances, join_unknown
from pipelines.video.plan import CHUNK_WORK_S, plan_chunks
from pipelines.video.probe import probe_video
from pipelines.video.records import read_record
from pipelines.video.sampling import Sampling

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from app.tasks.ports import Merging, Outcomes
    from app.tasks.recognizing import KnowsPeople, WhoIsWho
    from app.tasks.values import TaskOptions
    from pipelines.video.identities import TrackLook

#: Chunks of other rules than these are not mixed with theirs.
_RULES = 2


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
        people: who knows people; None where nobody is recognised.
    """

    def __init__(
        self,
        executor: ChunkExecutor,
        chunk_work_s: float = CHUNK_WORK_S,
        people: KnowsPeople | None = None,
    ) -> None:
        self._executor = executor
        self._chunk_work_s = chunk_work_s
        self._people = people

    async def open(self, path: Path, options: TaskOptions, owner: uuid.UUID) -> VideoWork:
        """Probe a video and plan its chunks."""
        who = await who_recognizes(self._people, options, owner)
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
        return _work(who, self._executor, jobs, spans, info.size, info.duration_s)


class AnimationPipeline:
    """Analyses GIF and APNG.

    Args:
        executor: who analyses chunks.
        people: who knows people; None where nobody is recognised.
    """

    def __init__(self, executor: ChunkExecutor, people: KnowsPeople | None = None) -> None:
        self._executor = executor
        self._people = people

    async def open(self, path: Path, options: TaskOptions, owner: uuid.UUID) -> VideoWork:
        """Look at an animation."""
        who = await who_recognizes(self._people, options, owner)
        sampling = _sampling(options)
        info = await asyncio.to_thread(probe_animation, path)
        job = ChunkJob(owner, Frames(path, info.size, sampling, info), _asked(options))
        return _work(who, self._executor, [job], [1.0], info.size, info.duration_s)


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


class RecognizedVideo(VideoWork):
    """One file whose people are to be recognised."""

    def __init__(self, who: WhoIsWho, *parts: Any) -> None:  # noqa: ANN401 - those of `VideoWork`
        super().__init__(*parts)
        self._who = who
        self._tracks: Sequence[TrackLook] = ()
        self._identities = Identities()

    @property
    def stages(self) -> tuple[range, ...]:
        """Return all chunks: none of them needs another."""
        return (range(len(self.plan.chunks)),)

    async def stage_done(self, stage: int, outcome: Outcomes) -> None:  # noqa: ARG002 - there is only one
        """Follow faces through all records, and ask who they are."""
        looks = TrackLooks(self._rate)
        for number in range(len(self.plan.chunks)):
            record = await outcome(number)
            await asyncio.to_thread(lambda record=record: looks.add(read_record(record)))  # type: ignore[misc] # mypy infers no lambdas with defaults
        tracks = looks.finish()
        vectors = [track.vector for track in tracks if track.vector is not None]
        found = await self._who.matches(np.array(vectors, np.float32))
        with_look = (track.span.number for track in tracks if track.vector is not None)
        known = {number: matches for number, matches in zip(with_look, found, strict=True) if matches}
        unknown = [track for track in tracks if track.span.number not in known]
        same = await asyncio.to_thread(join_unknown, unknown, self._who.reunion)
        self._tracks, self._identities = tracks, Identities(known, same)

    def merging(self) -> Merging:
        """Begin to follow faces once more."""
        assembler = Assembler(self._size, self._rate, identities=self._identities)
        return _Assembling(assembler, (self._tracks, self._identities))


def _work(who: WhoIsWho | None, *parts: Any) -> VideoWork:  # noqa: ANN401 - those of `VideoWork`
    return VideoWork(*parts) if who is None else RecognizedVideo(who, *parts)


class _Assembling:
    """Records in order, as frames are shown."""

    def __init__(
        self, assembler: Assembler, known: tuple[Sequence[TrackLook], Identities] | None = None
    ) -> None:
        self._assembler = assembler
        self._known = known

    def add(self, outcome: bytes) -> Iterable[Mapping[str, Any]]:
        """Yield the frames of the next chunk."""
        for frame in self._assembler.add(read_record(outcome)):
            yield frame.to_json()

    def finish(self) -> Merged:
        """Return the tracks and the summary."""
        tracks, summary = self._assembler.finish()
        shown = [track.to_json() for track in tracks]
        if self._known is None:
            return Merged(shown, summary.to_json())
        persons = appearances(*self._known)
        found = self._known[1].matches.values()
        named = {str(match["person_id"]) for matches in found for match in matches}
        return Merged(shown, summary.to_json(), persons=persons, named=named)


def _sampling(options: TaskOptions) -> Sampling:
    return Sampling(options.sample_rate, options.start_time, options.end_time)


def _asked(options: TaskOptions) -> FrameOptions:
    return FrameOptions(
        options.confidence_threshold,
        options.min_face_size,
        frozenset(options.attributes),
        embed=options.recognize,
    )


def _samples(job: ChunkJob) -> int:
    media = job.frames.media
    return media[1].samples if isinstance(media, tuple) else 0


def _analysed_s(sampling: Sampling, duration_s: float) -> float:
    end = duration_s if sampling.end_s is None else min(duration_s, sampling.end_s)
    if sampling.start_s >= end:
        message = f"start_time is at or after the end of the media, which lasts {duration_s:g} seconds"
        raise InvalidOption(message)
    return end - sampling.start_s
