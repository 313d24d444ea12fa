"""Door two's recognition: people enrolled by pictures, found by faces, compared.

is it yours? -> picture fetched -> faces as vectors -> one transaction, or one search
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - as above

from app.auth import caller_of
from app.door_two_creating import IdempotencyKey, queued
from app.door_two_libraries import LibraryId, answered, library_router, owner_in
from app.idempotency import known_request
from app.libraries.answers import face_box, match_answer
from app.libraries.references import Named, enrolled_answer, new_face, reference_of
from app.libraries.requests import (
    LONGEST_PICTURE_URL,
    CompareRequest,
    FaceRequest,
    ImportRequest,
    SearchRequest,
)
from app.metadata import checked_metadata
from app.tasks.requests import new_import
from app.tasks.values import ANYONE
from pipelines.enrolment import largest
from pipelines.errors import NoFaces
from pipelines.similarity import SAME_PERSON

if TYPE_CHECKING:
    from uuid import UUID

    import numpy as np
    from fastapi import APIRouter
    from numpy.typing import NDArray

    from app.idempotency import KnownRequest
    from app.libraries.opening import Libraries
    from app.plans import Plan
    from app.services import Services
    from app.tasks.opening import Tasks

#: Bodies of these may hold pictures as data URLs.
_PICTURE_ROUTES = ("/face", "/faces", "/search", "/compare")
_PICTURE_PLACES = ("/v1/", "/api/v1/admin/libraries/")
_SCORE_DIGITS = 4


def body_limit(path: str) -> int | None:
    """Return the most bytes that a body sent to this path may have; None where it holds no pictures."""
    if not path.startswith(_PICTURE_PLACES) or not path.endswith(_PICTURE_ROUTES):
        return None
    return 2 * LONGEST_PICTURE_URL + 65_536


def recognition_routes(services: Services, tasks: Tasks, libraries: Libraries) -> APIRouter:
    """Return the routes that look at pictures: enrolment, search and comparison."""
    router = library_router(services, tasks)

    @router.post("/library/{library_id}/face")
    async def enrol_face(
        request: Request, library_id: LibraryId, body: FaceRequest, idempotency_key: IdempotencyKey = None
    ) -> Response:
        r"""Enrol a reference picture of somebody; it must show exactly one clear face.

        For instance:

            curl -H "X-API-Key: $KEY" -H "Content-Type: application/json" \
              "$URL/v1/library/my-people-lib/face" \
              -d '{"person_id": "p_zhang_wei", "name": "Zhang Wei", "image_url": "https://example.com/a.jpg"}'
        """
        owner, plan = owner_in(request), tasks.plans.of(caller_of(request).plan)
        checked_metadata(body.metadata)
        known = known_request(idempotency_key, request.url.path, await request.json())
        before = await libraries.enrolment.first_answer(owner, known)
        return answered(request, before or await enrol(libraries, owner, plan, library_id, body, known))

    @router.post("/library/{library_id}/import")
    async def import_people(
        request: Request, library_id: LibraryId, body: ImportRequest, idempotency_key: IdempotencyKey = None
    ) -> Response:
        r"""Queue the enrolment of everybody whom a CSV or a ZIP lists, with a verdict for each picture.

        A CSV has the columns `person_id`, `image_url` and, where you like, `name` and `metadata`. A ZIP has a
        folder of pictures for each person, or a `people.csv` with `person_id`, `image`, `name`, `metadata`.

        For instance:

            curl -H "X-API-Key: $KEY" -H "Content-Type: application/json" \
              "$URL/v1/library/my-people-lib/import" -d '{"media_url": "https://example.com/staff.zip"}'
        """
        can_sign = owner_in(request) != ANYONE
        new = new_import(body, library_id, tasks.allow, can_sign=can_sign)
        return await queued(tasks, request, new, idempotency_key, libraries)

    @router.post("/library/{library_id}/search")
    async def search_library(request: Request, library_id: LibraryId, body: SearchRequest) -> Response:
        r"""Tell who the people in a picture are, as far as the library knows them.

        For instance:

            curl -H "X-API-Key: $KEY" -H "Content-Type: application/json" \
              "$URL/v1/library/my-people-lib/search" -d '{"image_url": "https://example.com/a.jpg"}'
        """
        return answered(request, await search(libraries, owner_in(request), library_id, body))

    @router.post("/compare")
    async def compare(request: Request, body: CompareRequest) -> Response:
        r"""Tell whether the largest faces of two pictures are of one person.

        For instance:

            curl -H "X-API-Key: $KEY" -H "Content-Type: application/json" "$URL/v1/compare" \
              -d '{"source_image_url": "https://example.com/a.jpg", "target_image_url": "https://example.com/b.jpg"}'
        """
        owner = owner_in(request)
        source = await _largest_vector(libraries, owner, body.source_image_url, "source_image_url")
        target = await _largest_vector(libraries, owner, body.target_image_url, "target_image_url")
        similarity = float(source @ target)
        score = libraries.recognizer.calibration.score(similarity)
        return answered(
            request,
            {
                "score": round(score, _SCORE_DIGITS),
                "is_same_person": score >= SAME_PERSON,
                "threshold": SAME_PERSON,
                "similarity": round(similarity, _SCORE_DIGITS),
            },
        )

    return router


async def enrol(
    libraries: Libraries,
    owner: UUID,
    plan: Plan,
    library_id: str,
    body: FaceRequest,
    known: KnownRequest | None = None,
) -> dict[str, Any]:
    """Look at a reference picture, enrol whom it shows, and return what is answered.

    Args:
        libraries: what it stands on.
        owner: of the library.
        plan: the owner's.
        library_id: as the owner calls it.
        body: the request.
        known: how the request is known when it comes again.
    """
    metadata = checked_metadata(body.metadata)
    await libraries.recognizer.library(owner, library_id)
    picture, detection = await libraries.pictures.seen(owner, body.image_url)
    face = reference_of(detection)
    named = Named(body.person_id, body.name, metadata)
    new = await new_face(libraries.enrolment, picture, detection, face, named)
    return await libraries.enrolment.enrol(
        owner, plan, library_id, new, partial(enrolled_answer, detection, face), known
    )


async def search(libraries: Libraries, owner: UUID, library_id: str, body: SearchRequest) -> dict[str, Any]:
    """Look at a picture and return what is answered about the people in it."""
    await libraries.recognizer.library(owner, library_id)
    detection = await libraries.pictures.faces_of(owner, body.image_url)
    if detection.embedded is None or not len(detection.faces):
        message = "No face was found in the picture."
        raise NoFaces(message)
    # Read again: what was answered while the picture came must be seen.
    library = await libraries.recognizer.library(owner, library_id)
    matches = await libraries.recognizer.matches(
        library, detection.embedded.vectors, body.top_k, body.min_score
    )
    faces = [
        {
            "face_id": f"f_{number + 1:02d}",
            **face_box(detection, number),
            "matches": [match_answer(match) for match in found],
        }
        for number, found in enumerate(matches)
    ]
    return {"library_id": library.handle, "faces": faces}


async def _largest_vector(libraries: Libraries, owner: UUID, url: str, name: str) -> NDArray[np.float32]:
    detection = await libraries.pictures.faces_of(owner, url, name)
    face = largest(detection.faces)
    if face is None or detection.embedded is None:
        message = f"{name}: no face was found in the picture."
        raise NoFaces(message)
    vector: NDArray[np.float32] = detection.embedded.vectors[face]
    return vector
