"""Pictures as tasks: one chunk, one frame at timestamp 0, answered by the engine that door one asks, too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from app.tasks.faces import shown_face
from app.tasks.ports import Merged
from app.tasks.values import ChunkPlan, MediaFacts, MediaPlan
from pipelines.probe import probe_picture
from pipelines.results import DetectOptions

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from app.tasks.ports import Merging
    from app.tasks.values import TaskOptions
    from pipelines.ports import ImageEngine
    from pipelines.results import Detection

#: What a picture counts as, in seconds of media.
BILLED_S = 1.0
#: Pictures of all tasks that are in memory at once: each may have 50 MB.
IN_MEMORY = 4


class ImagePipeline:
    """Analyses pictures."""

    def __init__(self, engine: ImageEngine) -> None:
        self._engine = engine
        self._few = asyncio.Semaphore(IN_MEMORY)

    async def open(self, path: Path, options: TaskOptions, owner: uuid.UUID) -> ImageWork:  # noqa: ARG002 - a picture is the same for all
        """Look at a picture's header."""
        async with self._few:
            width, height = await asyncio.to_thread(_upright_size, path)
        plan = MediaPlan(MediaFacts(width, height), (ChunkPlan(0, {}, BILLED_S),), BILLED_S)
        return ImageWork(self._engine, self._few, path, options, plan)


class ImageWork:
    """One picture."""

    def __init__(
        self,
        engine: ImageEngine,
        few: asyncio.Semaphore,
        path: Path,
        options: TaskOptions,
        plan: MediaPlan,
    ) -> None:
        self._engine = engine
        self._few = few
        self._path = path
        self._options = options
        self.plan = plan

    async def analyse(self, number: int) -> bytes:  # noqa: ARG002 - there is only one
        """Return the faces as they are shown, but for their numbers."""
        options = DetectOptions(
            confidence=self._options.confidence_threshold, attributes=frozenset(self._options.attributes)
        )
        async with self._few:
            data = await asyncio.to_thread(self._path.read_bytes)
            detection = await self._engine.detect(data, options)
        return to_json(_shown(detection, self._options))

    def merging(self) -> Merging:
        """Begin to number the faces."""
        return _Numbering()


def _upright_size(path: Path) -> tuple[int, int]:
    return probe_picture(path.read_bytes()).upright_size


def _shown(detection: Detection, options: TaskOptions) -> list[dict[str, Any]]:
    faces, size = detection.faces, (detection.image.width, detection.image.height)
    told = detection.attributes or (None,) * len(faces)
    return [
        shown_face(box, float(score), size, attributes, options.attributes)
        for box, score, attributes in zip(faces.boxes, faces.scores, told, strict=True)
        if min(box[2:] - box[:2]) >= options.min_face_size
    ]


class _Numbering:
    """The faces of one picture, in order."""

    def __init__(self) -> None:
        self._faces = 0

    def add(self, outcome: bytes) -> Iterable[Mapping[str, Any]]:
        """Return the one frame."""
        faces = from_json(outcome)
        self._faces = len(faces)
        numbered = [{"face_id": f"f_{number:02d}", **face} for number, face in enumerate(faces, 1)]
        return [{"timestamp": 0.0, "faces": numbered}]

    def finish(self) -> Merged:
        """Return the summary; a picture has no tracks."""
        return Merged((), {"total_faces": self._faces, "unique_identities": self._faces})
