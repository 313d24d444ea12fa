"""Calls of door two: libraries of faces, search, and comparing two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.client.call import Call, as_result, nothing, said_once, segment, without_nones
from app.client.library_results import (
    Comparison,
    EnrolledFace,
    Library,
    LibraryPage,
    Person,
    PersonPage,
    SearchResult,
)
from app.client.task_results import CreatedTask

if TYPE_CHECKING:
    from collections.abc import Mapping


def compare(source_image_url: str, target_image_url: str) -> Call[Comparison]:
    """Tell whether the largest faces of two pictures are of one person."""
    body = {"source_image_url": source_image_url, "target_image_url": target_image_url}
    return Call("POST", "/v1/compare", as_result(Comparison), json=body)


def create_library(library_id: str, name: str | None = None, description: str | None = None) -> Call[Library]:
    """Make an empty library."""
    body = without_nones(library_id=library_id, name=name, description=description)
    return Call("POST", "/v1/library", as_result(Library), json=body, is_repeatable=False)


def list_libraries(*, limit: int | None = None, cursor: str | None = None) -> Call[LibraryPage]:
    """List your libraries."""
    return Call("GET", "/v1/libraries", as_result(LibraryPage), query={"limit": limit, "cursor": cursor})


def get_library(library_id: str) -> Call[Library]:
    """Show a library."""
    return Call("GET", _library(library_id), as_result(Library))


def change_library(
    library_id: str, *, name: str | None = None, description: str | None = None
) -> Call[Library]:
    """Change what a library is called; what is not given stays."""
    body = without_nones(name=name, description=description)
    return Call("PATCH", _library(library_id), as_result(Library), json=body)


def delete_library(library_id: str, *, everywhere: bool = False) -> Call[None]:
    """Remove a library with everybody in it; everywhere: out of stored results as well."""
    query = {"everywhere": True} if everywhere else {}
    return Call("DELETE", _library(library_id), nothing, query=query, is_repeatable=False)


def enroll(
    library_id: str,
    person_id: str,
    image_url: str,
    *,
    name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Call[EnrolledFace]:
    """Take a picture with exactly one clear face into a library.

    Args:
        library_id: which.
        person_id: whom it shows; several pictures of one person make him easier to recognise.
        image_url: http(s), `upload://ID`, or a data URL.
        name: shown with matches.
        metadata: of your own.
        idempotency_key: as of tasks.
    """
    body = without_nones(person_id=person_id, name=name, image_url=image_url, metadata=metadata)
    headers = said_once(idempotency_key)
    return Call("POST", f"{_library(library_id)}/face", as_result(EnrolledFace), json=body, headers=headers)


def import_people(
    library_id: str,
    media_url: str,
    *,
    callback_url: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Call[CreatedTask]:
    """Queue the enrolment of everybody in a CSV or a ZIP; the task's result has a verdict for each picture.

    Args:
        library_id: which.
        media_url: of the file: http(s), or `upload://ID` of an upload.
        callback_url: who is told of the end.
        metadata: of your own, echoed in the result.
        idempotency_key: as of tasks.
    """
    body = without_nones(media_url=media_url, callback_url=callback_url, metadata=metadata)
    headers = said_once(idempotency_key)
    return Call("POST", f"{_library(library_id)}/import", as_result(CreatedTask), json=body, headers=headers)


def list_persons(library_id: str, *, limit: int | None = None, cursor: str | None = None) -> Call[PersonPage]:
    """List the people of a library."""
    query = {"limit": limit, "cursor": cursor}
    return Call("GET", f"{_library(library_id)}/persons", as_result(PersonPage), query=query)


def get_person(library_id: str, person_id: str) -> Call[Person]:
    """Show somebody."""
    return Call("GET", _person(library_id, person_id), as_result(Person))


def change_person(
    library_id: str,
    person_id: str,
    *,
    name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Call[Person]:
    """Change somebody's name or metadata; what is not given stays."""
    body = without_nones(name=name, metadata=metadata)
    return Call("PATCH", _person(library_id, person_id), as_result(Person), json=body)


def delete_person(library_id: str, person_id: str, *, everywhere: bool = False) -> Call[None]:
    """Erase somebody with all their faces; everywhere: out of stored results as well."""
    query = {"everywhere": True} if everywhere else {}
    return Call("DELETE", _person(library_id, person_id), nothing, query=query, is_repeatable=False)


def delete_face(library_id: str, face_id: str) -> Call[None]:
    """Remove one face."""
    return Call("DELETE", f"{_library(library_id)}/face/{segment(face_id)}", nothing, is_repeatable=False)


def search(library_id: str, image_url: str, *, top_k: int | None = None) -> Call[SearchResult]:
    """Look for every face of a picture in a library."""
    body = without_nones(image_url=image_url, top_k=top_k)
    return Call("POST", f"{_library(library_id)}/search", as_result(SearchResult), json=body)


def _library(library_id: str) -> str:
    return f"/v1/library/{segment(library_id)}"


def _person(library_id: str, person_id: str) -> str:
    return f"{_library(library_id)}/person/{segment(person_id)}"
