"""Everybody's tasks: looked at, cancelled, deleted, their webhooks sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID  # noqa: TC003 - FastAPI reads the annotation

from fastapi import APIRouter, Depends, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from app.admin.access import ADMIN_PATH, administrator_of
from app.admin.lookup import known, known_id
from app.admin.task_media import media_of_task, output_of_task
from app.admin.task_schemas import (
    TaskDetailResponse,
    TaskListResponse,
    told_delivery,
    told_task,
)
from app.admin.tiers import memory_of
from app.errors import NotOffered
from app.records.task_views import TaskChoice, list_all_tasks
from app.tasks.answers import with_result
from app.tasks.retention import forget_media
from app.tasks.values import Status, TaskType, read_task_id, task_text

if TYPE_CHECKING:
    import uuid

    from app.admin.access import AdminAccess
    from app.services import Services
    from app.tasks.opening import Tasks
    from app.tasks.values import Task

Cursor = Annotated[str | None, Query(max_length=512, description="The `next_cursor` of a page.")]


def task_routes(services: Services, access: AdminAccess, tasks: Tasks | None) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=ADMIN_PATH, dependencies=[Depends(access.require)])

    @router.get("/tasks")
    async def list_tasks(
        status: Status | None = None,
        type: TaskType | None = None,  # noqa: A002 - the parameter's name at door two
        api_key_id: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        before: Annotated[
            str | None, Query(max_length=64, description="The `next_before` of a page.")
        ] = None,
    ) -> TaskListResponse:
        """List everybody's tasks, newest first.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/tasks?status=failed"
        """
        choice = TaskChoice(status, type, api_key_id)
        border = None if before is None else _id_of(before)
        found = await list_all_tasks(memory_of(services).database, choice, limit, border)
        return TaskListResponse(
            items=[told_task(each) for each in found],
            next_before=task_text(found[-1].id) if len(found) == limit else None,
        )

    @router.get("/tasks/{task_id}")
    async def get_task(task_id: str) -> TaskDetailResponse:
        """Show a task with its webhooks and every try to deliver them.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/tasks/$TASK_ID"
        """
        open_tasks = tasks_of(tasks)
        task = await find_task(open_tasks, task_id)
        deliveries = await open_tasks.deliverer.of_task(task.id)
        return TaskDetailResponse(
            **told_task(task).model_dump(), deliveries=[told_delivery(each) for each in deliveries]
        )

    @router.get("/tasks/{task_id}/result")
    async def get_result(task_id: str, cursor: Cursor = None) -> Response:
        """Show what a task found, as its owner reads it; from a cursor on, further frames of a long one.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/tasks/$TASK_ID/result"
        """
        open_tasks = tasks_of(tasks)
        task = await find_task(open_tasks, task_id)
        head = {"task_id": task_text(task.id)}
        if cursor is None:
            body = with_result(head, await open_tasks.store.result(task))
        else:
            page = await open_tasks.store.result_page(task.owner, task.id, cursor)
            body = to_json(head)[:-1] + b"," + page + b"}"
        return Response(body, media_type="application/json")

    _media_routes(router, services, tasks)

    @router.post("/tasks/{task_id}/cancel", status_code=204)
    async def cancel_task(request: Request, task_id: str) -> None:
        """End a task that waits or runs.

        For instance:

            curl -u "admin:$PASSWORD" -X POST "$URL/api/v1/admin/tasks/$TASK_ID/cancel"
        """
        open_tasks = tasks_of(tasks)
        task = await find_task(open_tasks, task_id)
        await open_tasks.store.cancel(task.owner, task.id)
        await _note(request, "task.cancel", task_text(task.id))
        open_tasks.wake()

    @router.delete("/tasks/{task_id}", status_code=204)
    async def delete_task(request: Request, task_id: str) -> None:
        """Remove a task with its result, its webhooks and what was uploaded for it.

        For instance:

            curl -u "admin:$PASSWORD" -X DELETE "$URL/api/v1/admin/tasks/$TASK_ID"
        """
        open_tasks = tasks_of(tasks)
        task = await find_task(open_tasks, task_id)
        gone = await open_tasks.store.delete(task.owner, task.id)
        await forget_media(open_tasks.store, open_tasks.uploads, task.owner, gone.media_url)
        await _note(request, "task.delete", task_text(task.id))
        open_tasks.wake()

    @router.post("/deliveries/{delivery_id}/replay", status_code=204)
    async def replay(request: Request, delivery_id: str) -> None:
        """Send a webhook again, from the beginning of its tries; its `webhook-id` stays the same.

        For instance:

            curl -u "admin:$PASSWORD" -X POST "$URL/api/v1/admin/deliveries/$DELIVERY_ID/replay"
        """
        open_tasks = tasks_of(tasks)
        found = await open_tasks.deliverer.replay(known_id(delivery_id, "delivery"))
        known(found or None, "delivery")
        await _note(request, "webhook.replay", delivery_id)
        open_tasks.wake()

    async def _note(request: Request, action: str, subject: str) -> None:
        await memory_of(services).audit.append(administrator_of(request), action, subject)

    return router


def _media_routes(router: APIRouter, services: Services, tasks: Tasks | None) -> None:
    """Add what players ask for."""

    @router.get("/tasks/{task_id}/media", response_class=Response)
    async def get_media(request: Request, task_id: str) -> Response:
        """Give the media that was uploaded for a task; what lies elsewhere is not fetched.

        For instance:

            curl -u "admin:$PASSWORD" -o media "$URL/api/v1/admin/tasks/$TASK_ID/media"
        """
        task = await find_task(tasks_of(tasks), task_id)
        return await media_of_task(services, tasks_of(tasks), task, request.headers.get("range"))

    @router.get("/tasks/{task_id}/output", response_class=Response)
    async def get_output(request: Request, task_id: str) -> Response:
        """Give the media that a mask task made.

        For instance:

            curl -u "admin:$PASSWORD" -L -o masked "$URL/api/v1/admin/tasks/$TASK_ID/output"
        """
        task = await find_task(tasks_of(tasks), task_id)
        return await output_of_task(services, tasks_of(tasks), task, request.headers.get("range"))


def tasks_of(tasks: Tasks | None) -> Tasks:
    """Return what tasks stand on.

    Raises:
        NotOffered: there are none.
    """
    if tasks is None:
        message = "This service runs without tasks."
        raise NotOffered(message)
    return tasks


async def find_task(tasks: Tasks, task_id: str) -> Task:
    """Return anybody's task.

    Raises:
        NotFound: there is none.
    """
    return known(await tasks.store.find(_id_of(task_id)), "task")


def _id_of(text: str) -> uuid.UUID:
    return known(read_task_id(text), "task")
