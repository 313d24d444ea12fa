"""Who is to be told of a task's end: a row for each, written with the end itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert

from app.db.ids import new_id
from app.db.task_tables import WebhookDeliveryRow

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from app.db.engine import Writing
    from app.tasks.values import Status

PENDING = "pending"
DELIVERED = "delivered"
FAILED = "failed"
#: The receiver said that it wants no more of it.
GONE = "gone"


async def announce(
    tx: Writing, task_id: uuid.UUID, status: Status, callback_url: str | None, now: datetime
) -> None:
    """Note that a task's end is to be told, where somebody wants to hear it."""
    if callback_url is None:
        return
    await tx.execute(
        insert(WebhookDeliveryRow).values(
            id=new_id(now),
            task_id=task_id,
            event=f"task.{status.value}",
            url=callback_url,
            state=PENDING,
            attempts=0,
            attempt_total=0,
            started_at=now,
            next_try_at=now,
            scheduled_at=now,
            claim=0,
            created_at=now,
        )
    )
