"""Pictures as tasks: one chunk, one frame at timestamp 0, answered by the engine that door one asks, too.

Where people are to be recognised the chunk's outcome holds vectors, and who they are is asked afterwards:
what is kept of a task that is not done names nobody.
"""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from app.tasks.faces import shown_face
from app.tasks.ports import Merged
from app.tasks.recognizing import who_recognizes
from app.tasks.values import ChunkPlan, MediaFacts, MediaPlan
from pipelines.probe import probe_picture
from pipelines.results import DetectOptions
from pipelines.video.identities import appearance
from pipelines.video.records import looks_of, packed_look

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from app.tasks.ports import Merging, Outcomes
    from app.tasks.recognizing import KnowsPeople, WhoIsWho
    from app.tasks.values import TaskOptions
    from pipelines.ports import ImageEngine
    from pipelines.results import Detection

#: What a picture counts as, in seconds of media.
BILLED_S = 1.0
#: Pictures of all tasks that are in memory at once: each may have 50 MB.
IN_MEMORY = 4


class ImagePipeline:
    """Analyses pictures.

    Args:
        engine: who looks at them.
        people: who knows people; None where nobody is recognised.
    """

    def __init__(self, engine: ImageEngine, people: KnowsPeople | None = None) -> None:
        self._engine = engine
        self._people = people
        self._few = asyncio.Semaphore(IN_MEMORY)

    async def open(self, path: Path, options: TaskOptions, owner: uuid.UUID) -> ImageWork:
        """Look at a picture's header."""
        who = await who_recognizes(self._people, options, owner)
        async with self._few:
            width, height = await asyncio.to_thread(_upright_size, path)
        plan = MediaPlan(MediaFacts(width, height), (ChunkPlan(0, {}, BILLED_S),), BILLED_S)
        if who is None:
            return ImageWork(self._engine, self._few, path, options, plan)
        return RecognizedImage(self._engine, self._few, path, options, plan, who)


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
        asked = self._options
        options = DetectOptions(
            confidence=asked.confidence_threshold,
            attributes=frozenset(asked.attributes),
            embed=asked.recognize,
        )
        async with self._few:
            data = await asyncio.to_thread(self._path.read_bytes)
            detection = await self._engine.detect(data, options)
        return to_json(_shown(detection, asked))

    def merging(self) -> Merging:
        """Begin to number the faces."""
        return _Numbering()


class RecognizedImage(ImageWork):
    """One picture whose people are to be recognised."""

    def __init__(
        self,
        engine: ImageEngine,
        few: asyncio.Semaphore,
        path: Path,
        options: TaskOptions,
        plan: MediaPlan,
        who: WhoIsWho,
    ) -> None:
        super().__init__(engine, few, path, options, plan)
        self._who = who
        self._matches: Sequence[Sequence[Mapping[str, Any]]] = ()

    @property
    def stages(self) -> tuple[range, ...]:
        """Return the one chunk."""
        return (range(1),)

    async def stage_done(self, stage: int, outcome: Outcomes) -> None:  # noqa: ARG002 - there is only one
        """Ask who the faces are."""
        looks = [base64.b64decode(face["look"]) for face in from_json(await outcome(0))]
        self._matches = await self._who.matches(looks_of(looks)) if looks else ()

    def merging(self) -> Merging:
        """Begin to number the faces."""
        return _Naming(self._matches)


def _upright_size(path: Path) -> tuple[int, int]:
    return probe_picture(path.read_bytes()).upright_size


def _shown(detection: Detection, options: TaskOptions) -> list[dict[str, Any]]:
    faces, size = detection.faces, (detection.image.width, detection.image.height)
    told = detection.attributes or (None,) * len(faces)
    shown = []
    for number, (box, score, attributes) in enumerate(zip(faces.boxes, faces.scores, told, strict=True)):
        if min(box[2:] - box[:2]) < options.min_face_size:
            continue
        face = shown_face(box, float(score), size, attributes, options.attributes)
        if detection.embedded is not None:
            face["look"] = base64.b64encode(packed_look(detection.embedded.vectors[number])).decode()
        shown.append(face)
    return shown


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


class _Naming:
    """The faces of one picture, in order, and whose they are."""

    def __init__(self, matches: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        self._matches = matches

    def add(self, outcome: bytes) -> Iterable[Mapping[str, Any]]:
        """Return the one frame."""
        faces = []
        for number, (face, found) in enumerate(zip(from_json(outcome), self._matches, strict=True), 1):
            del face["look"]
            faces.append({"face_id": f"f_{number:02d}", **face, "identity": {"matches": list(found)}})
        return [{"timestamp": 0.0, "faces": faces}]

    def finish(self) -> Merged:
        """Return who is there; strangers of one picture are so many people."""
        people: dict[str, dict[str, Any]] = {}
        for number, found in enumerate(self._matches, 1):
            first = found[0] if found else None
            told = appearance(first, number)
            person = people.setdefault(told["person_id"] or told["unknown_id"], told)
            person["spans"].append({"start_ms": 0, "end_ms": 0, "face_id": f"f_{number:02d}"})
            if first is not None:
                person["score"] = max(person["score"], first["score"])
        summary = {"total_faces": len(self._matches), "unique_identities": len(people)}
        named = {match["person_id"] for found in self._matches for match in found}
        return Merged((), summary, persons=list(people.values()), named=named)
