"""Task rows as plain values, and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from app.db.task_tables import TaskRow
from app.tasks.values import (
    MaskTaskOptions,
    MediaFacts,
    Report,
    Status,
    Task,
    TaskFailure,
    TaskOptions,
    TaskType,
)
from pipelines.attributes import Attribute
from pipelines.redact.output import Codec, Container
from pipelines.results import ImageFormat, MaskMethod

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import Row, Select

    from app.db.engine import Reading

COLUMNS = tuple(TaskRow.__table__.c)


def select_tasks() -> Select[Any]:
    """Return a query for whole tasks."""
    return select(*COLUMNS)


async def find_task(tx: Reading, task_id: uuid.UUID, *, lock: bool = False) -> Task | None:
    """Return a task; with a lock, nobody changes it before the transaction ends."""
    query = select_tasks().where(TaskRow.id == task_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else task_of(row)


def task_of(row: Row[Any]) -> Task:
    """Read a row."""
    found = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    code = found["error_code"]
    return Task(
        id=found["id"],
        owner=found["owner"],
        status=Status(found["status"]),
        type=TaskType(found["type"]),
        media_url=found["media_url"],
        options=options_of(found["options"]),
        callback_url=found["callback_url"],
        metadata=found["metadata"],
        created_at=found["created_at"],
        started_at=found["started_at"],
        completed_at=found["completed_at"],
        estimated_s=found["estimated_s"],
        progress=found["progress"],
        media=None if found["media"] is None else MediaFacts(**found["media"]),
        summary=found["summary"],
        page_count=found["page_count"],
        request_id=found["request_id"],
        failure=None if code is None else TaskFailure(code, found["error_message"] or ""),
    )


def options_of(stored: dict[str, Any]) -> TaskOptions:
    """Read options as they were stored."""
    return TaskOptions(
        **{
            **stored,
            "type": TaskType(stored["type"]),
            "attributes": tuple(Attribute(name) for name in stored["attributes"]),
            "mask": _mask_of(stored.get("mask")),
        }
    )


def _mask_of(stored: dict[str, Any] | None) -> MaskTaskOptions | None:
    if stored is None:
        return None
    kinds = {
        "method": MaskMethod,
        "container": Container,
        "codec": Codec,
        "image_format": ImageFormat,
        "report": Report,
    }
    read = {
        name: kinds[name](value) if name in kinds and value is not None else value
        for name, value in stored.items()
    }
    people = {name: tuple(stored.get(name, ())) for name in ("keep", "only")}
    return MaskTaskOptions(**{**read, **people})


def stored_options(options: TaskOptions) -> dict[str, Any]:
    """Return options as JSON."""
    return {
        **asdict(options),
        "type": options.type.value,
        "attributes": [attribute.value for attribute in options.attributes],
    }
