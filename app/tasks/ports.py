"""What a runner needs of the world: media brought here, and somebody who analyses it in chunks.

    MediaPipeline.open(file) -> MediaWork: a plan of chunks
    MediaWork.analyse(number) -> outcome, bytes that only this pipeline reads; any order, any number of times
    MediaWork.merging() -> Merging: outcomes in order -> frames, and at the end tracks and the summary

    MaskPipeline.open(file, keeper) -> StagedWork: chunks that find, then chunks that write, then the whole

An outcome is a function of the file, the options and the number: that is what makes a resumed task's result
the same as an undisturbed one's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pipelines.errors import FacefleetError

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from app.tasks.values import MediaPlan, TaskOptions


class WorkerDied(FacefleetError):
    """The process that analysed a chunk is gone: its machine failed, or the media killed it."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What is known once every chunk was added.

    Attributes:
        tracks: as they are shown.
        summary: as it is shown.
        output: the object that was made, if one was.
        persons: who appears when, as it is shown; None where nobody was to be recognised.
        named: identifiers of all people that the result names.
    """

    tracks: Sequence[Mapping[str, Any]]
    summary: Mapping[str, Any]
    output: str | None = None
    persons: Sequence[Mapping[str, Any]] | None = None
    named: Collection[str] = ()


class Merging(Protocol):
    """Puts chunks together; called on a thread, and never holds more than one chunk's frames."""

    def add(self, outcome: bytes) -> Iterable[Mapping[str, Any]]:
        """Take the next chunk in order and return its frames as they are shown."""

    def finish(self) -> Merged:
        """Return what concerns the whole."""


class MediaWork(Protocol):
    """One file under analysis."""

    @property
    def plan(self) -> MediaPlan:
        """Tell what the media is and which chunks it comes to; the same each time."""

    async def analyse(self, number: int) -> bytes:
        """Return a chunk's outcome.

        Raises:
            CallerError: the media cannot be used after all.
            Unavailable: it may be tried again later.
            WorkerDied: it may be tried again, a few times.
        """

    def merging(self) -> Merging:
        """Begin to put the outcomes together."""


#: Returns what came of a chunk.
Outcomes = Callable[[int], Awaitable[bytes]]


@runtime_checkable
class StagedWork(MediaWork, Protocol):
    """Work whose later chunks need what came of all earlier ones."""

    @property
    def stages(self) -> tuple[range, ...]:
        """Return the numbers of the chunks of each stage; all chunks, in order."""

    async def stage_done(self, stage: int, outcome: Outcomes) -> None:
        """Take what came of a stage; called after its last chunk, and again by who resumes the task.

        Raises:
            CallerError: the media cannot be used after all.
            Unavailable: it may be tried again later.
        """


class Keeper(Protocol):
    """Keeps what a task makes, for as long as the task is whose runner this is."""

    async def keep(self, path: Path, suffix: str) -> str:
        """Keep a file and return the object's name."""

    async def bring(self, key: str, target: Path) -> None:
        """Write an object to a file."""


class MaskPipeline(Protocol):
    """Masks one type of media."""

    async def open(self, path: Path, options: TaskOptions, owner: uuid.UUID, keeper: Keeper) -> StagedWork:
        """Look at a file of this owner; what is made lies beside it until it is kept.

        Raises:
            CallerError: it cannot be used.
        """


class MediaPipeline(Protocol):
    """Analyses one type of media."""

    async def open(self, path: Path, options: TaskOptions, owner: uuid.UUID) -> MediaWork:
        """Look at a file of this owner.

        Raises:
            CallerError: it cannot be used.
        """
