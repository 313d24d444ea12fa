"""Lists of people as tasks: every picture looked at and enrolled, with a verdict for each.

    file -> rows, those of one person together -> chunks -> picture -> judged -> enrolled -> verdict

Each row is enrolled under a key of its own, made of the task and the row: a chunk that is done again, because
whoever did it died, enrols nobody twice.
"""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from app.db.tables import HANDLE_LENGTH
from app.errors import Forbidden, NotFound, answer_for, readable
from app.idempotency import known_request
from app.intake.port import FetchLimits
from app.libraries.import_files import read_candidates, read_member, read_metadata
from app.libraries.pictures import FETCH_S, STALL_S, TRIES
from app.libraries.references import Named, enrolled_answer, new_face, reference_of
from app.libraries.requests import FaceRequest
from app.metadata import checked_metadata
from app.tasks.ports import Merged
from app.tasks.values import ChunkPlan, MediaPlan
from pipelines.errors import CallerError, InvalidMedia, InvalidOption, Unavailable
from pipelines.results import DetectOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from pathlib import Path
    from uuid import UUID

    from app.intake.port import MediaSource
    from app.libraries.enrolling import Enrolment
    from app.libraries.import_files import Candidate
    from app.plans import Plan
    from app.tasks.ports import Merging
    from app.tasks.recognizing import KnowsPeople
    from app.tasks.values import Task
    from pipelines.ports import ImageEngine
    from pipelines.results import Detection

#: Rows of one chunk, and a few more where one person has them.
ROWS = 16
#: Chunks that are worked on at the same time, of all imports of this process.
AT_ONCE = 4
#: Stands for a picture that lies in the archive, where a request would have an address.
_INSIDE = "zip:"
ENROLLED, REFUSED = "enrolled", "refused"


class PeopleImport:
    """Enrols lists of people.

    Args:
        engine: who looks at pictures.
        people: who knows libraries.
        enrolment: who enrols.
        plan_of: tells an owner's plan.
        max_bytes: the largest picture.
    """

    def __init__(
        self,
        engine: ImageEngine,
        people: KnowsPeople,
        enrolment: Enrolment,
        plan_of: Callable[[UUID], Awaitable[Plan]],
        max_bytes: int,
    ) -> None:
        self.engine = engine
        self.people = people
        self.enrolment = enrolment
        self.plan_of = plan_of
        self.limits = FetchLimits(max_bytes, total_s=FETCH_S, stall_s=STALL_S, tries=TRIES)
        self.few = asyncio.Semaphore(AT_ONCE)

    async def open(self, path: Path, task: Task, source: MediaSource) -> ImportWork:
        """Read a list.

        Raises:
            InvalidMedia: it is none.
            NotFound: the library was deleted meanwhile.
        """
        await self.people.library(task.owner, task.options.library_id or "")
        candidates = await asyncio.to_thread(read_candidates, path)
        return ImportWork(self, path, task, source, _parts(candidates))


class ImportWork:
    """One list of people."""

    def __init__(
        self,
        desk: PeopleImport,
        path: Path,
        task: Task,
        source: MediaSource,
        parts: list[list[Candidate]],
    ) -> None:
        self._desk = desk
        self._path = path
        self._task = task
        self._library = task.options.library_id or ""
        self._source = source
        self._parts = parts
        rows = sum(len(part) for part in parts)
        chunks = [
            ChunkPlan(number, {"rows": len(part), "first": part[0].row}, float(len(part)))
            for number, part in enumerate(parts)
        ]
        # A picture counts as much as it does as a task of its own.
        self.plan = MediaPlan(None, tuple(chunks), float(rows))

    async def analyse(self, number: int) -> bytes:
        """Return the verdicts of some rows.

        Raises:
            NotFound: the library was deleted meanwhile.
            Unavailable: it may be tried again later.
        """
        async with self._desk.few:
            plan = await self._desk.plan_of(self._task.owner)
            return to_json([await self._verdict(each, plan) for each in self._parts[number]])

    def merging(self) -> Merging:
        """Begin to count."""
        return _Counting()

    async def _verdict(self, candidate: Candidate, plan: Plan) -> dict[str, Any]:
        head = {"row": candidate.row, "person_id": candidate.person_id, "image": candidate.member}
        try:
            answer = await self._enrolled(candidate, plan)
        except (NotFound, Forbidden) as error:
            # Of the library this concerns every row, of anything else this one.
            await self._desk.people.library(self._task.owner, self._library)
            return head | _refusal(error)
        except CallerError as error:
            return head | _refusal(error)
        return head | {"status": ENROLLED, "face_id": answer["face_id"], "quality": answer["quality"]}

    async def _enrolled(self, candidate: Candidate, plan: Plan) -> dict[str, Any]:
        desk, owner = self._desk, self._task.owner
        body = _request(candidate)
        known = known_request(f"import {self._task.id.hex} {candidate.row}", "import", body.model_dump())
        if (before := await desk.enrolment.first_answer(owner, known)) is not None:
            return before
        picture, detection = await self._seen(candidate)
        face = reference_of(detection)
        named = Named(body.person_id, body.name, checked_metadata(body.metadata))
        new = await new_face(desk.enrolment, picture, detection, face, named)
        answer_of = partial(enrolled_answer, detection, face)
        return await desk.enrolment.enrol(owner, plan, self._library, new, answer_of, known)

    async def _seen(self, candidate: Candidate) -> tuple[bytes, Detection]:
        if candidate.member is not None:
            most = self._desk.limits.max_bytes
            data = await asyncio.to_thread(read_member, self._path, candidate.member, most)
        else:
            data = await self._fetched(candidate)
        return data, await self._desk.engine.detect(data, DetectOptions(embed=True))

    async def _fetched(self, candidate: Candidate) -> bytes:
        target = self._path.with_name(f"picture-{candidate.row}")
        try:
            await self._source.fetch(candidate.url or "", target, self._desk.limits, name="image_url")
            return await asyncio.to_thread(target.read_bytes)
        except Unavailable as error:
            # It was tried several times; one address that does not answer must not hold up all others.
            message = f"The picture cannot be had now: {error.message}"
            raise InvalidMedia(message) from error
        finally:
            await asyncio.to_thread(target.unlink, missing_ok=True)


class _Counting:
    """Verdicts as they are shown, in the order of the list as far as people's rows are together in it."""

    def __init__(self) -> None:
        self._counts = {ENROLLED: 0, REFUSED: 0}
        self._named: set[str] = set()

    def add(self, outcome: bytes) -> Iterable[Mapping[str, Any]]:
        """Return the verdicts of some rows."""
        for verdict in from_json(outcome):
            self._counts[verdict["status"]] += 1
            self._named.add(verdict["person_id"])
            yield {name: value for name, value in verdict.items() if value is not None}

    def finish(self) -> Merged:
        """Return how many there were of each."""
        summary = {"rows": sum(self._counts.values()), **self._counts}
        return Merged((), summary, named={each for each in self._named if 0 < len(each) <= HANDLE_LENGTH})


def _request(candidate: Candidate) -> FaceRequest:
    """Return a row as what a client would send for it.

    Raises:
        InvalidOption: nobody could send that.
    """
    metadata = read_metadata(candidate.metadata)
    try:
        return FaceRequest(
            person_id=candidate.person_id,
            name=candidate.name or None,
            image_url=_INSIDE if candidate.member is not None else candidate.url or "",
            metadata=metadata,
        )
    except ValidationError as error:
        message = readable([{**each, "loc": ("row", *each["loc"])} for each in error.errors()])
        raise InvalidOption(message) from error


def _refusal(error: CallerError) -> dict[str, Any]:
    answer = answer_for(error, "/v1/")
    return {"status": REFUSED, "code": answer.code, "reason": answer.reason, "message": answer.message}


def _parts(candidates: list[Candidate]) -> list[list[Candidate]]:
    """Return the rows in parts; nobody is in two of them, so that their pictures come in order."""
    parts: list[list[Candidate]] = [[]]
    for _, rows in groupby(candidates, lambda each: each.person_id):
        if len(parts[-1]) >= ROWS:
            parts.append([])
        parts[-1] += rows
    return parts
