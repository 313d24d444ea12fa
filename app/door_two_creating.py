"""Door two's two kinds of tasks as they are handed in.

fields -> media that is taken -> the same request before? -> queue -> answer
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, Request
from pydantic_core import to_json
from starlette.responses import Response

from app.auth import caller_of
from app.errors import NotOffered
from app.idempotency import known_request
from app.middleware import request_id_of
from app.tasks.mask_people import who_is_meant
from app.tasks.mask_requests import MaskTaskRequest, new_mask_task
from app.tasks.recognizing import who_recognizes
from app.tasks.requests import DetectionTaskRequest, new_task
from app.tasks.values import ANYONE, TaskType, owner_of
from pipelines.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from app.libraries.opening import Libraries
    from app.libraries.recognition import Recognizer
    from app.tasks.opening import Tasks
    from app.tasks.values import NewTask, TaskOptions

_IDEMPOTENCY_KEY = Header(
    alias="Idempotency-Key", max_length=255, description="The same key and body is the same task."
)
IdempotencyKey = Annotated[str | None, _IDEMPOTENCY_KEY]


def creation_routes(tasks: Tasks, libraries: Libraries | None = None) -> APIRouter:
    """Return the routes that make tasks; who calls is known by then."""
    router = APIRouter()

    @router.post("/create-detection-task")
    async def create_detection_task(
        request: Request, body: DetectionTaskRequest, idempotency_key: IdempotencyKey = None
    ) -> Response:
        r"""Queue the analysis of a picture, an animation or a video.

        For instance:

            curl -H "X-API-Key: $KEY" -H "Content-Type: application/json" "$URL/v1/create-detection-task" \
              -d '{"type": "image", "media_url": "https://example.com/photo.jpg"}'
        """
        can_sign = owner_of(caller_of(request).id) != ANYONE
        new = new_task(
            body,
            tasks.attributes,
            tasks.allow,
            can_sign=can_sign,
            can_recognize=libraries is not None,
        )
        return await queued(tasks, request, _offered(tasks.types, new), idempotency_key, libraries)

    @router.post("/create-mask-task")
    async def create_mask_task(
        request: Request, body: MaskTaskRequest, idempotency_key: IdempotencyKey = None
    ) -> Response:
        r"""Queue a picture, an animation or a video to be given back with its faces unrecognisable.

        For instance:

            curl -H "X-API-Key: $KEY" -H "Content-Type: application/json" "$URL/v1/create-mask-task" \
              -d '{"type": "video", "media_url": "https://example.com/street.mp4", "method": "solid"}'
        """
        if tasks.objects is None:
            message = "Masked media is kept in the storage, which is switched off."
            raise NotOffered(message)
        can_sign = owner_of(caller_of(request).id) != ANYONE
        new = new_mask_task(body, tasks.allow, can_sign=can_sign, can_recognize=libraries is not None)
        return await queued(tasks, request, _offered(tasks.mask_types, new), idempotency_key, libraries)

    return router


def _offered(types: Collection[TaskType], new: NewTask) -> NewTask:
    if new.options.type not in types:
        message = f"type: this service does not analyse {new.options.type.value} media yet."
        raise InvalidOption(message)
    return new


async def queued(
    tasks: Tasks,
    request: Request,
    new: NewTask,
    idempotency_key: str | None,
    libraries: Libraries | None = None,
) -> Response:
    """Queue a task and answer, as before where the same request came before.

    Args:
        tasks: what tasks stand on.
        request: who asks.
        new: what is asked for.
        idempotency_key: under which it may come again.
        libraries: where people are known; None where nobody is.
    """
    caller = caller_of(request)
    tasks.intake.check(new.media_url)
    body = None if idempotency_key is None else await request.json()
    # Of two kinds of tasks the same body means two tasks.
    same = known_request(idempotency_key, request.scope["path"], body)
    owner = owner_of(caller.id)
    answer = await tasks.store.first_answer(owner, same)
    if answer is None:
        if libraries is not None:
            await _check_library(libraries.recognizer, new.options, owner)
        plan = tasks.plans.of(caller.plan)
        answer = await tasks.store.create(owner, plan, new, request_id_of(request.scope), same)
        tasks.wake()
    return Response(to_json(answer), media_type="application/json")


async def _check_library(people: Recognizer, options: TaskOptions, owner: UUID) -> None:
    """Refuse a library that cannot be used, or people who are not in it."""
    if options.type is TaskType.IMPORT and options.library_id is not None:
        await people.library(owner, options.library_id)
    await who_recognizes(people, options, owner)
    await who_is_meant(people, options, owner)
