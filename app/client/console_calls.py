"""Calls of administrators behind the console: everybody's tasks and libraries, and how the service is.

They answer what the service writes, as JSON: these are for looking, and change with the console.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.client.call import Call, answer_json, as_result, content, nothing, segment, without_nones
from app.client.picture_calls import picture_of
from app.client.results import DetectResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.client.picture_calls import Picture

_ADMIN = "/api/v1/admin"
_LIBRARIES = f"{_ADMIN}/libraries"


def overview(window: str = "hour") -> Call[Any]:
    """Tell what was asked over the last hour, day or week."""
    return Call("GET", f"{_ADMIN}/overview", answer_json, who="admin", query={"window": window})


def system() -> Call[Any]:
    """Tell what the service is made of."""
    return Call("GET", f"{_ADMIN}/system", answer_json, who="admin")


def preview_detect(image: Picture, *, attributes: Sequence[str] = ()) -> Call[DetectResult]:
    """Find the faces in a picture; nothing is kept."""
    return Call(
        "POST",
        f"{_ADMIN}/test/detect",
        as_result(DetectResult),
        who="admin",
        query={"attributes": ",".join(attributes) or None},
        picture=picture_of(image),
    )


def image_thumbnail(image_id: str) -> Call[bytes]:
    """Return a small picture of a picture."""
    return Call("GET", f"{_ADMIN}/images/{segment(image_id)}/thumbnail", content, who="admin", follows=True)


def job_thumbnail(job_id: str) -> Call[bytes]:
    """Return a small picture of what a job made."""
    return Call("GET", f"{_ADMIN}/jobs/{segment(job_id)}/thumbnail", content, who="admin", follows=True)


def list_tasks(
    *,
    status: str | None = None,
    api_key_id: str | None = None,
    limit: int | None = None,
    before: str | None = None,
) -> Call[Any]:
    """List everybody's tasks, newest first."""
    query = {"status": status, "api_key_id": api_key_id, "limit": limit, "before": before}
    return Call("GET", f"{_ADMIN}/tasks", answer_json, who="admin", query=query)


def get_task(task_id: str) -> Call[Any]:
    """Show a task with its webhooks and every try to deliver them."""
    return Call("GET", f"{_ADMIN}/tasks/{segment(task_id)}", answer_json, who="admin")


def get_task_result(task_id: str, cursor: str | None = None) -> Call[Any]:
    """Show what a task found."""
    path = f"{_ADMIN}/tasks/{segment(task_id)}/result"
    return Call("GET", path, answer_json, who="admin", query={"cursor": cursor})


def get_task_media(task_id: str) -> Call[bytes]:
    """Return the media that was uploaded for a task."""
    return Call("GET", f"{_ADMIN}/tasks/{segment(task_id)}/media", content, who="admin", follows=True)


def get_task_output(task_id: str) -> Call[bytes]:
    """Return the media that a mask task made."""
    return Call("GET", f"{_ADMIN}/tasks/{segment(task_id)}/output", content, who="admin", follows=True)


def cancel_task(task_id: str) -> Call[None]:
    """End anybody's task."""
    path = f"{_ADMIN}/tasks/{segment(task_id)}/cancel"
    return Call("POST", path, nothing, who="admin", is_repeatable=False)


def delete_task(task_id: str) -> Call[None]:
    """Remove anybody's task."""
    path = f"{_ADMIN}/tasks/{segment(task_id)}"
    return Call("DELETE", path, nothing, who="admin", is_repeatable=False)


def replay_delivery(delivery_id: str) -> Call[None]:
    """Send a webhook again."""
    path = f"{_ADMIN}/deliveries/{segment(delivery_id)}/replay"
    return Call("POST", path, nothing, who="admin", is_repeatable=False)


def list_libraries(*, limit: int | None = None, before: str | None = None) -> Call[Any]:
    """List everybody's libraries, newest first."""
    return Call("GET", _LIBRARIES, answer_json, who="admin", query={"limit": limit, "before": before})


def create_library(
    library_id: str, api_key_id: str, *, name: str | None = None, description: str | None = None
) -> Call[Any]:
    """Make a library for a key."""
    body = without_nones(library_id=library_id, api_key_id=api_key_id, name=name, description=description)
    return Call("POST", _LIBRARIES, answer_json, who="admin", json=body, is_repeatable=False)


def get_library(library_id: str) -> Call[Any]:
    """Show anybody's library."""
    return Call("GET", _library(library_id), answer_json, who="admin")


def delete_library(library_id: str, *, everywhere: bool = False) -> Call[None]:
    """Remove anybody's library; everywhere: with its people out of stored results as well."""
    query = {"everywhere": True} if everywhere else {}
    path = _library(library_id)
    return Call("DELETE", path, nothing, who="admin", query=query, is_repeatable=False)


def list_persons(library_id: str, *, limit: int | None = None, cursor: str | None = None) -> Call[Any]:
    """List the people in a library."""
    query = {"limit": limit, "cursor": cursor}
    return Call("GET", f"{_library(library_id)}/persons", answer_json, who="admin", query=query)


def get_person(library_id: str, person_id: str) -> Call[Any]:
    """Show somebody."""
    return Call("GET", f"{_library(library_id)}/persons/{segment(person_id)}", answer_json, who="admin")


def delete_person(library_id: str, person_id: str) -> Call[None]:
    """Erase somebody, out of stored results as well."""
    path = f"{_library(library_id)}/persons/{segment(person_id)}"
    return Call("DELETE", path, nothing, who="admin", is_repeatable=False)


def delete_face(library_id: str, face_id: str) -> Call[None]:
    """Forget a face."""
    path = f"{_library(library_id)}/faces/{segment(face_id)}"
    return Call("DELETE", path, nothing, who="admin", is_repeatable=False)


def enroll(library_id: str, person_id: str, image_url: str, *, name: str | None = None) -> Call[Any]:
    """Enrol a reference picture of somebody."""
    body = without_nones(person_id=person_id, image_url=image_url, name=name)
    path = f"{_library(library_id)}/faces"
    return Call("POST", path, answer_json, who="admin", json=body, is_repeatable=False)


def search(library_id: str, image_url: str, *, top_k: int | None = None) -> Call[Any]:
    """Tell who the people in a picture are."""
    body = without_nones(image_url=image_url, top_k=top_k)
    return Call("POST", f"{_library(library_id)}/search", answer_json, who="admin", json=body)


def _library(library_id: str) -> str:
    return f"{_LIBRARIES}/{segment(library_id)}"
