"""Pages of tasks: everybody's, and one with its progress, its result and its webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from app.admin.lookup import known
from app.admin.task_media import UPLOADED
from app.admin.task_routes import find_task, tasks_of
from app.admin.task_schemas import told_delivery, told_task
from app.admin.tiers import memory_of
from app.console.gate import VIEWER
from app.records.insight import names_of_keys
from app.records.task_views import TaskChoice, list_all_tasks
from app.tasks.rows import stored_options
from app.tasks.values import Status, TaskType, read_task_id, task_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.console.rendering import Pages
    from app.services import Services
    from app.tasks.opening import Tasks
    from app.tasks.values import Task, TaskOptions

PER_PAGE = 25
#: People of a task that its page shows.
MOST_PERSONS = 50
#: What tasks of both kinds are asked; what else stands in the options concerns detection alone.
_SHARED = ("start_time", "end_time", "min_face_size", "confidence_threshold", "library_id")

#: An empty text is what a form sends for "all".
StatusName = Literal["", "queued", "running", "succeeded", "failed", "cancelled"]
TypeName = Literal["", "video", "image", "gif", "import"]


def task_pages(router: APIRouter, pages: Pages, services: Services, tasks: Tasks | None) -> None:
    """Add the pages to the routes behind the gate."""

    @router.get("/tasks")
    async def task_list(
        request: Request,
        status: StatusName = "",
        type: TypeName = "",  # noqa: A002 - as at door two
        before: Annotated[str | None, Query(max_length=64)] = None,
    ) -> Response:
        choice = TaskChoice(Status(status) if status else None, TaskType(type) if type else None)
        border = None if before is None else known(read_task_id(before), "task")
        database = memory_of(services).database
        found = await list_all_tasks(database, choice, PER_PAGE + 1, border)
        query = urlencode({name: value for name, value in (("status", status), ("type", type)) if value})
        shown = found[:PER_PAGE]
        return pages.show(
            "tasks.html",
            viewer=request.scope[VIEWER],
            here=request.url.path,
            tasks=[told_task(each) for each in shown],
            following=task_text(shown[-1].id) if len(found) > PER_PAGE else None,
            is_first=before is None,
            is_moving=any(not each.status.is_terminal for each in shown),
            chosen={"status": status, "type": type},
            query=query + "&" if query else "",
            statuses=[each.value for each in Status],
            types=[each.value for each in TaskType],
            keys=await names_of_keys(database),
        )

    @router.get("/tasks/{task_id}")
    async def one_task(request: Request, task_id: str) -> Response:
        known(read_task_id(task_id), "task")
        open_tasks = tasks_of(tasks)
        task = await find_task(open_tasks, task_id)
        deliveries = await open_tasks.deliverer.of_task(task.id)
        persons, more_persons = await _persons(open_tasks, task)
        return pages.show(
            "task.html",
            viewer=request.scope[VIEWER],
            here=request.url.path,
            task=told_task(task),
            asked=_asked(task.options),
            is_over=task.status.is_terminal,
            is_uploaded=task.media_url.startswith(UPLOADED),
            deliveries=[told_delivery(each) for each in deliveries],
            persons=persons,
            more_persons=more_persons,
            keys=await names_of_keys(memory_of(services).database),
        )


async def _persons(tasks: Tasks, task: Task) -> tuple[list[dict[str, Any]], bool]:
    """Return who appears in a task's media, and whether there are more."""
    if task.status is not Status.SUCCEEDED or not task.options.recognize:
        return [], False
    found, following = await tasks.store.persons(task.owner, task.id, MOST_PERSONS, None)
    return found, following is not None


def _asked(options: TaskOptions) -> Mapping[str, object]:
    """Return what was asked, without what this kind of task knows nothing of."""
    stored = stored_options(options)
    if options.type is TaskType.IMPORT:
        return {"library_id": options.library_id}
    mask = stored.pop("mask")
    return stored if mask is None else {**{name: stored[name] for name in _SHARED}, **mask}
