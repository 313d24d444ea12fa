"""A pipeline of many small chunks whose outcome is known, for tests of everything around it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from app.intake.port import Fetched
from app.tasks.ports import Merged
from app.tasks.values import ChunkPlan, MediaFacts, MediaPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from uuid import UUID

    from app.intake.port import FetchLimits
    from app.tasks.ports import Merging
    from app.tasks.values import TaskOptions


@dataclass
class ChunkedPipeline:
    """Cuts every file into chunks of three frames.

    Attributes:
        chunks: how many.
        pause_s: how long each takes.
        seen: numbers of analysed chunks, in order.
        trouble: called with each number before it is analysed; it may raise.
    """

    chunks: int = 6
    pause_s: float = 0.0
    seen: list[int] = field(default_factory=list)
    trouble: Callable[[int], None] = lambda _number: None
    at_once: int = 0
    most_at_once: int = 0

    async def open(self, path: Path, options: TaskOptions, owner: UUID) -> ChunkedWork:
        """Look at nothing."""
        assert path.exists()  # noqa: ASYNC240 - one look
        assert options is not None
        assert owner is not None
        return ChunkedWork(self)


class ChunkedWork:
    """One file."""

    def __init__(self, pipeline: ChunkedPipeline) -> None:
        self._pipeline = pipeline
        chunks = tuple(ChunkPlan(number, {"from": number * 3}, 1.5) for number in range(pipeline.chunks))
        self.plan = MediaPlan(MediaFacts(640, 480, 1.5 * pipeline.chunks), chunks, 1.5 * pipeline.chunks)

    async def analyse(self, number: int) -> bytes:
        """Take a while."""
        pipeline = self._pipeline
        pipeline.trouble(number)
        pipeline.at_once += 1
        pipeline.most_at_once = max(pipeline.most_at_once, pipeline.at_once)
        try:
            await asyncio.sleep(pipeline.pause_s)
        finally:
            pipeline.at_once -= 1
        pipeline.seen.append(number)
        print("chunk", number, flush=True)  # noqa: T201 - a test's process is watched by what it prints
        return json.dumps([number * 3 + at for at in range(3)]).encode()

    def merging(self) -> Merging:
        """Count faces."""
        return _Counting()


class _Counting:
    """Numbers faces over all chunks, as a real pipeline does."""

    def __init__(self) -> None:
        self._faces = 0

    def add(self, outcome: bytes) -> Iterable[Mapping[str, Any]]:
        """Return a frame with one face for each number."""
        for at in json.loads(outcome):
            self._faces += 1
            face = {"face_id": f"f_{self._faces:02d}", "bbox": [at, at, 10, 10], "confidence": 0.9}
            yield {"timestamp": at / 2, "faces": [face]}

    def finish(self) -> Merged:
        """Return one track."""
        return Merged([{"track_id": "t_1"}], {"total_faces": self._faces, "unique_identities": 1})


class OneFile:
    """A media source that knows one file."""

    def __init__(self, data: bytes = b"media", error: Exception | None = None) -> None:
        self.data = data
        self.error = error
        self.fetches = 0

    async def fetch(self, url: str, target: Path, limits: FetchLimits, *_: object, **__: object) -> Fetched:
        """Write it."""
        assert limits.max_bytes
        self.fetches += 1
        if self.error is not None:
            raise self.error
        target.write_bytes(self.data)  # noqa: ASYNC240 - a few bytes
        return Fetched(target, len(self.data), sha256(self.data).hexdigest(), None, url)
