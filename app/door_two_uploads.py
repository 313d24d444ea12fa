"""Door two's uploads: a file in parts over signed addresses, then `upload://ID` wherever media is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response

from app.auth import caller_of, key_check
from app.door_two import JSON, plan_limit
from app.door_two_docs import REFUSALS
from app.errors import NotFound, NotOffered
from app.middleware import request_id_of
from app.tasks.answers import time_text
from app.tasks.uploads import MOST_BYTES, PART_BYTES, PATH
from app.tasks.values import owner_of, read_upload_id, upload_text

if TYPE_CHECKING:
    import uuid

    from app.services import Services
    from app.tasks.opening import Tasks
    from app.tasks.uploads import Upload, Uploads

UploadId = Annotated[str, Path(max_length=64)]


class UploadRequest(BaseModel):
    """What will come."""

    model_config = ConfigDict(strict=True)

    filename: str = Field(min_length=1, max_length=255, description="For you to recognise it by.")
    size: int = Field(ge=1, le=2**53, description=f"Bytes; at most {MOST_BYTES}.")


def upload_routes(services: Services, tasks: Tasks) -> APIRouter:
    """Return the routes of uploads."""
    router = APIRouter(prefix=PATH, responses=REFUSALS, tags=["uploads"])
    known_caller = [Depends(key_check(services)), Depends(plan_limit(services, tasks))]

    @router.post("", dependencies=known_caller)
    async def begin_upload(request: Request, body: UploadRequest) -> Response:
        r"""Say what file will come, and hear where its parts are to be sent.

        For instance:

            curl -H "X-API-Key: $KEY" -H "Content-Type: application/json" "$URL/v1/uploads" \
              -d '{"filename": "clip.mp4", "size": 20000000}'
        """
        uploads = _offered(tasks)
        upload = await uploads.begin(owner_of(caller_of(request).id), _harmless(body.filename), body.size)
        return await _answer(uploads, upload, request, services)

    @router.get("/{upload_id}", dependencies=known_caller)
    async def get_upload(request: Request, upload_id: UploadId) -> Response:
        """Tell which parts are still to be sent, and where.

        For instance:

            curl -H "X-API-Key: $KEY" "$URL/v1/uploads/$UPLOAD_ID"
        """
        uploads = _offered(tasks)
        upload = await uploads.get(owner_of(caller_of(request).id), _known(upload_id))
        return await _answer(uploads, upload, request, services)

    @router.post("/{upload_id}/complete", dependencies=known_caller)
    async def complete_upload(request: Request, upload_id: UploadId) -> Response:
        """Say that every part was sent.

        For instance:

            curl -X POST -H "X-API-Key: $KEY" "$URL/v1/uploads/$UPLOAD_ID/complete"
        """
        uploads = _offered(tasks)
        upload = await uploads.complete(owner_of(caller_of(request).id), _known(upload_id))
        return _json({"request_id": request_id_of(request.scope), **_shown(upload)})

    @router.put("/{upload_id}/parts/{number}")
    async def put_part(
        request: Request,
        upload_id: UploadId,
        number: Annotated[int, Path(ge=1, le=100_000)],
        expires: Annotated[int, Query(ge=0, le=2**40)] = 0,
        signature: Annotated[str, Query(max_length=64)] = "",
    ) -> Response:
        """Send a part; the address is its own permission, and needs no key.

        For instance:

            curl -X PUT --data-binary @part-1 "$PART_URL"
        """
        uploads = _offered(tasks)
        upload = await uploads.check_part(_known(upload_id), number, expires, signature)
        await uploads.put_part(upload, number, await request.body())
        return _json({"request_id": request_id_of(request.scope), "part": number})

    return router


async def _answer(uploads: Uploads, upload: Upload, request: Request, services: Services) -> Response:
    origin = services.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
    missing = await uploads.missing_parts(upload)
    return _json(
        {
            "request_id": request_id_of(request.scope),
            **_shown(upload),
            "parts": {
                "size": upload.part_bytes,
                "count": upload.part_count,
                "urls": await uploads.part_urls(upload, origin),
                "missing": missing,
            },
        }
    )


def _shown(upload: Upload) -> dict[str, Any]:
    text = upload_text(upload.id)
    return {
        "upload_id": text,
        "media_url": f"upload://{text}",
        "filename": upload.filename,
        "size": upload.size_bytes,
        "status": "complete" if upload.is_complete else "open",
        "expires_at": time_text(upload.expires_at),
    }


def part_limit(path: str) -> int | None:
    """Return the most bytes that a body sent to this path may have; None where it is no part's."""
    return PART_BYTES if path.startswith(f"{PATH}/") and "/parts/" in path else None


def _offered(tasks: Tasks) -> Uploads:
    if tasks.uploads is None:
        message = "Uploads need the storage, which is switched off here."
        raise NotOffered(message)
    return tasks.uploads


def _known(upload_id: str) -> uuid.UUID:
    found = read_upload_id(upload_id)
    if found is None:
        message = "There is no such upload."
        raise NotFound(message)
    return found


def _harmless(filename: str) -> str:
    """Drop what no database keeps; the name is only shown."""
    return "".join(character for character in filename if character.isprintable()) or "file"


def _json(answer: dict[str, Any]) -> Response:
    return Response(to_json(answer), media_type=JSON)
