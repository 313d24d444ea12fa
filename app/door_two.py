"""Door two: detection as tasks, as its clients know them.

key -> the plan's limit -> fields -> queue -> answer; a runner does the rest
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - FastAPI reads the annotation
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from app.admin.origins import own_url
from app.auth import caller_of, key_check
from app.client_address import client_address
from app.door_two_creating import creation_routes
from app.door_two_docs import REFUSALS
from app.errors import NotFound
from app.limiting import count_for
from app.middleware import request_id_of
from app.tasks.answers import task_answer, with_result
from app.tasks.retention import forget_media
from app.tasks.store import TaskFilter
from app.tasks.values import Status, TaskType, owner_of, read_task_id, task_text
from pipelines.errors import InvalidOption

if TYPE_CHECKING:
    import uuid
    from collections.abc import Awaitable, Callable

    from app.libraries.opening import Libraries
    from app.services import Services
    from app.tasks.opening import Tasks

JSON = "application/json"
TaskId = Annotated[str, Path(max_length=64, examples=["task_0195e3ab6f4a7c2d8a1b2c3d4e5f6071"])]
Limit = Annotated[int, Query(ge=1, le=100, description="Page size.")]
Cursor = Annotated[str | None, Query(max_length=512, description="From the page before.")]


def door_two(services: Services, tasks: Tasks, libraries: Libraries | None = None) -> APIRouter:
    """Return the routes of tasks over these services; without libraries nobody is recognised."""
    router = APIRouter(
        prefix="/v1",
        dependencies=[Depends(key_check(services)), Depends(plan_limit(services, tasks))],
        responses=REFUSALS,
        tags=["tasks"],
    )

    router.include_router(creation_routes(tasks, libraries))

    @router.get("/tasks")
    async def list_tasks(
        request: Request,
        status: Status | None = None,
        type: TaskType | None = None,  # noqa: A002 - the parameter's published name
        created_after: datetime | None = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Response:
        """List your tasks, newest first.

        For instance:

            curl -H "X-API-Key: $KEY" "$URL/v1/tasks?status=succeeded&limit=5"
        """
        if created_after is not None and created_after.tzinfo is None:
            message = "created_after: say the time zone, for instance 2026-04-21T09:30:00Z."
            raise InvalidOption(message)
        wanted = TaskFilter(status, type, created_after)
        found, following = await tasks.store.list(owner_of(caller_of(request).id), wanted, limit, cursor)
        return _json(
            {
                "request_id": request_id_of(request.scope),
                "tasks": [task_answer(task) for task in found],
                "next_cursor": following,
            }
        )

    @router.get("/task/{task_id}")
    async def get_task(request: Request, task_id: TaskId) -> Response:
        """Tell how a task is, and what it found once it has.

        For instance:

            curl -H "X-API-Key: $KEY" "$URL/v1/task/$TASK_ID"
        """
        task = await tasks.store.get(owner_of(caller_of(request).id), _known(task_id))
        head = {"request_id": request_id_of(request.scope), **task_answer(task)}
        origin = own_url(request, services.settings.public_url)
        return Response(with_result(head, await tasks.store.result(task, origin)), media_type=JSON)

    @router.get("/task/{task_id}/result")
    async def get_result_page(request: Request, task_id: TaskId, cursor: Cursor = None) -> Response:
        """Read a long result's frames in pages, from the beginning or from a cursor on.

        For instance:

            curl -H "X-API-Key: $KEY" "$URL/v1/task/$TASK_ID/result"
        """
        known = _known(task_id)
        page = await tasks.store.result_page(owner_of(caller_of(request).id), known, cursor)
        head = to_json({"request_id": request_id_of(request.scope), "task_id": task_text(known)})
        return Response(head[:-1] + b"," + page + b"}", media_type=JSON)

    @router.get("/task/{task_id}/persons")
    async def list_persons_of_task(
        request: Request, task_id: TaskId, limit: Limit = 20, cursor: Cursor = None
    ) -> Response:
        """Tell who appears when, in order of appearance: people of the library, and unknown ones.

        Of a task with `recognize` alone. Times are milliseconds of the media; who comes back has several
        spans. Unknown people have an `unknown_id` of this task.

        For instance:

            curl -H "X-API-Key: $KEY" "$URL/v1/task/$TASK_ID/persons"
        """
        known = _known(task_id)
        owner = owner_of(caller_of(request).id)
        found, following = await tasks.store.persons(owner, known, limit, cursor)
        return _json(
            {
                "request_id": request_id_of(request.scope),
                "task_id": task_text(known),
                "persons": found,
                "next_cursor": following,
            }
        )

    @router.post("/task/{task_id}/cancel")
    async def cancel_task(request: Request, task_id: TaskId) -> Response:
        """End a task that waits or runs.

        For instance:

            curl -X POST -H "X-API-Key: $KEY" "$URL/v1/task/$TASK_ID/cancel"
        """
        known = _known(task_id)
        await tasks.store.cancel(owner_of(caller_of(request).id), known)
        tasks.wake()
        return _json(
            {
                "request_id": request_id_of(request.scope),
                "task_id": task_text(known),
                "status": Status.CANCELLED.value,
            }
        )

    @router.delete("/task/{task_id}")
    async def delete_task(request: Request, task_id: TaskId) -> Response:
        """Remove a task with its result, its callbacks and what was uploaded for it.

        For instance:

            curl -X DELETE -H "X-API-Key: $KEY" "$URL/v1/task/$TASK_ID"
        """
        known = _known(task_id)
        owner = owner_of(caller_of(request).id)
        gone = await tasks.store.delete(owner, known)
        await forget_media(tasks.store, tasks.uploads, owner, gone.media_url)
        tasks.wake()
        return _json(
            {"request_id": request_id_of(request.scope), "task_id": task_text(known), "deleted": True}
        )

    return router


def plan_limit(services: Services, tasks: Tasks) -> Callable[[Request], Awaitable[None]]:
    """Return a dependency that counts a request against its key's plan."""

    async def count(request: Request) -> None:
        caller = caller_of(request)
        who = f"key {caller.id}"
        if not services.settings.api_key_enabled:
            who = f"address {client_address(request, services)}"
        limit = f"{tasks.plans.of(caller.plan).requests_per_minute}/minute"
        await count_for(services, request, "door_two", limit, [who])

    return count


def _known(task_id: str) -> uuid.UUID:
    found = read_task_id(task_id)
    if found is None:
        message = "There is no such task."
        raise NotFound(message)
    return found


def _json(answer: dict[str, Any]) -> Response:
    return Response(to_json(answer), media_type=JSON)
