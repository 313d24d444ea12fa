"""Everybody's libraries: looked at, filled, searched, emptied, with the rules that hold for their owners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID  # noqa: TC003 - FastAPI reads the annotation

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import Field
from pydantic_core import to_json
from starlette.responses import Response

from app.admin.access import ADMIN_PATH, administrator_of
from app.admin.lookup import known, known_id
from app.admin.tiers import memory_of
from app.door_two_libraries import Everywhere  # noqa: TC001 - FastAPI reads the annotations at run time
from app.door_two_recognition import enrol, search
from app.errors import NotOffered
from app.libraries.answers import library_answer, person_answer
from app.libraries.requests import FaceRequest, LibraryRequest, SearchRequest
from app.libraries.values import read_face_id
from app.records.library_views import find_library, list_all_libraries

if TYPE_CHECKING:
    from app.admin.access import AdminAccess
    from app.libraries.opening import Libraries
    from app.libraries.values import Library
    from app.plans import Plan, Plans
    from app.services import Services

LibraryId = Annotated[str, Path(max_length=128)]
PersonId = Annotated[str, Path(max_length=128)]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=512, description="The `next_cursor` of a page.")]


class NewLibraryRequest(LibraryRequest):
    """A new library, and the key whose it shall be."""

    api_key_id: str = Field(max_length=36)


@dataclass(frozen=True, slots=True)
class LibraryDesk:
    """What administrators' routes of libraries stand on."""

    libraries: Libraries
    plans: Plans


def library_routes(services: Services, access: AdminAccess, desk: LibraryDesk | None) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=f"{ADMIN_PATH}/libraries", dependencies=[Depends(access.require)])

    @router.get("")
    async def list_libraries(limit: Limit = 50, before: UUID | None = None) -> Response:
        """List everybody's libraries, newest first.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/libraries"
        """
        desk_of(desk)
        found = await list_all_libraries(memory_of(services).database, limit, before)
        following = str(found[-1].id) if len(found) == limit else None
        return _json({"items": [told_library(each) for each in found], "next_before": following})

    @router.post("", status_code=201)
    async def create_library(body: NewLibraryRequest) -> Response:
        r"""Make a library for a key.

        For instance:

            curl -u "admin:$PASSWORD" -H "Content-Type: application/json" \
              -d '{"library_id": "staff", "api_key_id": "'$KEY_ID'"}' "$URL/api/v1/admin/libraries"
        """
        store = desk_of(desk).libraries.store
        owner = known(await memory_of(services).keys.get(known_id(body.api_key_id, "key")), "key").id
        plan = await _plan_of(services, desk_of(desk), owner)
        library = await store.create(owner, plan, body.library_id, body.name, body.description)
        return _json(told_library(library), 201)

    @router.get("/{library_id}")
    async def get_library(library_id: LibraryId) -> Response:
        """Show a library.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/libraries/$LIBRARY_ID"
        """
        desk_of(desk)
        return _json(told_library(await library_of(services, library_id)))

    @router.delete("/{library_id}", status_code=204)
    async def delete_library(
        request: Request,
        library_id: LibraryId,
        everywhere: Everywhere = False,  # noqa: FBT002 - a query parameter
    ) -> None:
        """Remove a library with everybody in it.

        For instance:

            curl -u "admin:$PASSWORD" -X DELETE \
              "$URL/api/v1/admin/libraries/$LIBRARY_ID?everywhere=true"
        """
        erasure = desk_of(desk).libraries.erasure
        library = await library_of(services, library_id)
        await erasure.library(library.owner, library_id, administrator_of(request), everywhere=everywhere)

    return router


def person_routes(services: Services, access: AdminAccess, desk: LibraryDesk | None) -> APIRouter:
    """Return the routes of the people in libraries."""
    router = APIRouter(prefix=f"{ADMIN_PATH}/libraries", dependencies=[Depends(access.require)])

    async def open_library(handle: str) -> tuple[Libraries, Library]:
        libraries = desk_of(desk).libraries
        return libraries, await library_of(services, handle)

    @router.get("/{library_id}/persons")
    async def list_persons(library_id: LibraryId, limit: Limit = 50, cursor: Cursor = None) -> Response:
        """List the people in a library, in the order of their enrolment.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/libraries/$LIBRARY_ID/persons"
        """
        libraries, library = await open_library(library_id)
        found, following = await libraries.store.persons(library.owner, library_id, limit, cursor)
        return _json({"items": [person_answer(each) for each in found], "next_cursor": following})

    @router.get("/{library_id}/persons/{person_id}")
    async def get_person(library_id: LibraryId, person_id: PersonId) -> Response:
        """Show somebody with the faces they are known by.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/libraries/$LIBRARY_ID/persons/$PERSON_ID"
        """
        libraries, library = await open_library(library_id)
        person, faces = await libraries.store.person(library.owner, library_id, person_id)
        return _json(person_answer(person, faces))

    @router.delete("/{library_id}/persons/{person_id}", status_code=204)
    async def erase_person(request: Request, library_id: LibraryId, person_id: PersonId) -> None:
        """Erase somebody, out of stored results as well.

        For instance:

            curl -u "admin:$PASSWORD" -X DELETE "$URL/api/v1/admin/libraries/$LIBRARY_ID/persons/$PERSON_ID"
        """
        libraries, library = await open_library(library_id)
        actor = administrator_of(request)
        await libraries.erasure.person(library.owner, library_id, person_id, actor, everywhere=True)

    @router.delete("/{library_id}/faces/{face_id}", status_code=204)
    async def remove_face(library_id: LibraryId, face_id: str) -> None:
        """Forget a face; whoever it was of stays.

        For instance:

            curl -u "admin:$PASSWORD" -X DELETE "$URL/api/v1/admin/libraries/$LIBRARY_ID/faces/$FACE_ID"
        """
        libraries, library = await open_library(library_id)
        parsed = known(read_face_id(face_id), "face")
        await libraries.enrolment.remove_face(library.owner, library_id, parsed)

    return router


def recognition_routes(services: Services, access: AdminAccess, desk: LibraryDesk | None) -> APIRouter:
    """Return the routes that look at pictures: enrolment and search."""
    router = APIRouter(prefix=f"{ADMIN_PATH}/libraries", dependencies=[Depends(access.require)])

    @router.post("/{library_id}/faces", status_code=201)
    async def enrol_face(library_id: LibraryId, body: FaceRequest) -> Response:
        r"""Enrol a reference picture of somebody; it must show exactly one clear face.

        For instance:

            curl -u "admin:$PASSWORD" -H "Content-Type: application/json" \
              -d '{"person_id": "p_1", "image_url": "'$PICTURE'"}' \
              "$URL/api/v1/admin/libraries/$LIBRARY_ID/faces"
        """
        libraries = desk_of(desk).libraries
        library = await library_of(services, library_id)
        plan = await _plan_of(services, desk_of(desk), library.owner)
        return _json(await enrol(libraries, library.owner, plan, library_id, body), 201)

    @router.post("/{library_id}/search")
    async def search_library(library_id: LibraryId, body: SearchRequest) -> Response:
        r"""Tell who the people in a picture are, as far as the library knows them.

        For instance:

            curl -u "admin:$PASSWORD" -H "Content-Type: application/json" \
              -d '{"image_url": "'$PICTURE'"}' "$URL/api/v1/admin/libraries/$LIBRARY_ID/search"
        """
        libraries = desk_of(desk).libraries
        library = await library_of(services, library_id)
        return _json(await search(libraries, library.owner, library_id, body))

    return router


def desk_of(desk: LibraryDesk | None) -> LibraryDesk:
    """Return what libraries stand on.

    Raises:
        NotOffered: there are none.
    """
    if desk is None:
        message = "This service runs without libraries."
        raise NotOffered(message)
    return desk


async def library_of(services: Services, handle: str) -> Library:
    """Return anybody's library.

    Raises:
        NotFound: there is none.
    """
    return known(await find_library(memory_of(services).database, handle), "library")


async def _plan_of(services: Services, desk: LibraryDesk, owner: UUID) -> Plan:
    key = await memory_of(services).keys.get(owner)
    return desk.plans.of(key.plan if key else None)


def told_library(library: Library) -> dict[str, Any]:
    """Return a library as administrators see it."""
    return {**library_answer(library), "api_key_id": str(library.owner)}


def _json(answer: dict[str, Any], status: int = 200) -> Response:
    return Response(to_json(answer), status, media_type="application/json")
