"""Door two's libraries and the people in them: made, listed, renamed, removed.

key -> the plan's limit -> fields -> is it yours? -> one transaction
Pictures are looked at in `app.door_two_recognition`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from app.admin.origins import own_url
from app.auth import caller_of, key_check
from app.client_address import client_address
from app.door_two import JSON, Cursor, Limit, plan_limit
from app.door_two_docs import REFUSALS
from app.errors import NotFound
from app.libraries.answers import library_answer, person_answer
from app.libraries.requests import (
    LibraryChange,  # noqa: TC001 - FastAPI reads the annotations
    LibraryRequest,  # noqa: TC001 - as above
    PersonChange,  # noqa: TC001 - as above
)
from app.libraries.values import read_face_id
from app.metadata import checked_metadata
from app.middleware import request_id_of
from app.records.values import Actor
from app.tasks.values import owner_of

if TYPE_CHECKING:
    from uuid import UUID

    from app.libraries.opening import Libraries
    from app.services import Services
    from app.tasks.opening import Tasks


LibraryId = Annotated[str, Path(max_length=128, examples=["my-people-lib"])]
PersonId = Annotated[str, Path(max_length=128, examples=["p_zhang_wei"])]
Everywhere = Annotated[bool, Query(description="Take people out of stored results as well.")]


def library_routes(services: Services, tasks: Tasks, libraries: Libraries) -> APIRouter:
    """Return the routes of libraries and the people in them."""
    router = library_router(services, tasks)
    store = libraries.store

    @router.post("/library")
    async def create_library(request: Request, body: LibraryRequest) -> Response:
        r"""Make a library.

        For instance:

            curl -H "X-API-Key: $KEY" -H "Content-Type: application/json" "$URL/v1/library" \
              -d '{"library_id": "my-people-lib", "name": "Office staff"}'
        """
        plan = tasks.plans.of(caller_of(request).plan)
        library = await store.create(owner_in(request), plan, body.library_id, body.name, body.description)
        return answered(request, library_answer(library))

    @router.get("/libraries")
    async def list_libraries(request: Request, limit: Limit = 20, cursor: Cursor = None) -> Response:
        """List your libraries, newest first.

        For instance:

            curl -H "X-API-Key: $KEY" "$URL/v1/libraries"
        """
        found, following = await store.page(owner_in(request), limit, cursor)
        return answered(
            request, {"libraries": [library_answer(each) for each in found], "next_cursor": following}
        )

    @router.get("/library/{library_id}")
    async def get_library(request: Request, library_id: LibraryId) -> Response:
        """Tell what a library is and how many people are in it.

        For instance:

            curl -H "X-API-Key: $KEY" "$URL/v1/library/my-people-lib"
        """
        return answered(request, library_answer(await store.get(owner_in(request), library_id)))

    @router.patch("/library/{library_id}")
    async def change_library(request: Request, library_id: LibraryId, body: LibraryChange) -> Response:
        r"""Give a library another name or description.

        For instance:

            curl -X PATCH -H "X-API-Key: $KEY" -H "Content-Type: application/json" \
              "$URL/v1/library/my-people-lib" -d '{"name": "Everybody at HQ"}'
        """
        changes = body.model_dump(exclude_unset=True)
        return answered(request, library_answer(await store.change(owner_in(request), library_id, changes)))

    @router.delete("/library/{library_id}")
    async def delete_library(
        request: Request,
        library_id: LibraryId,
        everywhere: Everywhere = False,  # noqa: FBT002 - a query parameter
    ) -> Response:
        """Remove a library with everybody in it.

        For instance:

            curl -X DELETE -H "X-API-Key: $KEY" "$URL/v1/library/my-people-lib?everywhere=true"
        """
        actor = _actor(request, services)
        gone, mentions = await libraries.erasure.library(
            owner_in(request), library_id, actor, everywhere=everywhere
        )
        return answered(request, {"library_id": gone.handle, "deleted": True, "mentions_erased": mentions})

    return router


def person_routes(services: Services, tasks: Tasks, libraries: Libraries) -> APIRouter:
    """Return the routes of the people in libraries."""
    router = library_router(services, tasks)
    store = libraries.store

    @router.get("/library/{library_id}/persons")
    async def list_persons(
        request: Request, library_id: LibraryId, limit: Limit = 20, cursor: Cursor = None
    ) -> Response:
        """List the people of a library in the order of their enrolment.

        For instance:

            curl -H "X-API-Key: $KEY" "$URL/v1/library/my-people-lib/persons?limit=100"
        """
        found, following = await store.persons(owner_in(request), library_id, limit, cursor)
        return answered(
            request, {"persons": [person_answer(each) for each in found], "next_cursor": following}
        )

    @router.get("/library/{library_id}/person/{person_id}")
    async def get_person(request: Request, library_id: LibraryId, person_id: PersonId) -> Response:
        """Tell who somebody is, and which faces they are known by.

        For instance:

            curl -H "X-API-Key: $KEY" "$URL/v1/library/my-people-lib/person/p_zhang_wei"
        """
        person, faces = await store.person(owner_in(request), library_id, person_id)
        urls = await libraries.thumbnail_urls(faces, own_url(request, services.settings.public_url))
        return answered(request, person_answer(person, faces, urls))

    @router.patch("/library/{library_id}/person/{person_id}")
    async def change_person(
        request: Request, library_id: LibraryId, person_id: PersonId, body: PersonChange
    ) -> Response:
        r"""Give somebody another name or metadata.

        For instance:

            curl -X PATCH -H "X-API-Key: $KEY" -H "Content-Type: application/json" \
              "$URL/v1/library/my-people-lib/person/p_zhang_wei" -d '{"name": "Zhang Wei"}'
        """
        changes = body.model_dump(exclude_unset=True)
        checked_metadata(body.metadata)
        changed = await store.change_person(owner_in(request), library_id, person_id, changes)
        return answered(request, person_answer(changed))

    @router.delete("/library/{library_id}/person/{person_id}")
    async def erase_person(
        request: Request,
        library_id: LibraryId,
        person_id: PersonId,
        everywhere: Everywhere = False,  # noqa: FBT002 - a query parameter
    ) -> Response:
        """Erase somebody with all their faces; the audit log notes that it was done, and not who it was.

        For instance:

            curl -X DELETE -H "X-API-Key: $KEY" "$URL/v1/library/my-people-lib/person/p_zhang_wei"
        """
        actor = _actor(request, services)
        mentions = await libraries.erasure.person(
            owner_in(request), library_id, person_id, actor, everywhere=everywhere
        )
        return answered(request, {"person_id": person_id, "deleted": True, "mentions_erased": mentions})

    @router.delete("/library/{library_id}/face/{face_id}")
    async def remove_face(
        request: Request, library_id: LibraryId, face_id: Annotated[str, Path(max_length=64)]
    ) -> Response:
        """Forget one face of somebody.

        For instance:

            curl -X DELETE -H "X-API-Key: $KEY" "$URL/v1/library/my-people-lib/face/$FACE_ID"
        """
        known = read_face_id(face_id)
        if known is None:
            message = "There is no such face in this library."
            raise NotFound(message)
        person = await libraries.enrolment.remove_face(owner_in(request), library_id, known)
        return answered(
            request,
            {
                "face_id": face_id,
                "person_id": person.handle,
                "face_count": person.faces,
                "deleted": True,
            },
        )

    return router


def library_router(services: Services, tasks: Tasks) -> APIRouter:
    """Return a router that lets in who has a key, as often as the plan says."""
    return APIRouter(
        prefix="/v1",
        dependencies=[Depends(key_check(services)), Depends(plan_limit(services, tasks))],
        responses=REFUSALS,
        tags=["libraries"],
    )


def owner_in(request: Request) -> UUID:
    """Return who owns what this request makes."""
    return owner_of(caller_of(request).id)


def _actor(request: Request, services: Services) -> Actor:
    return Actor(f"key {caller_of(request).id}", client_address(request, services))


def answered(request: Request, answer: dict[str, Any]) -> Response:
    """Return an answer with the request's identifier before it."""
    whole = {"request_id": request_id_of(request.scope), **answer}
    return Response(to_json(whole), media_type=JSON)
