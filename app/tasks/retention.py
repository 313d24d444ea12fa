"""What goes with a task that is removed, and tasks that are removed because they are old."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.tasks.values import read_upload_id

if TYPE_CHECKING:
    import uuid
    from datetime import timedelta

    from app.tasks.store import TaskStore
    from app.tasks.uploads import Uploads

#: Tasks that are removed in one go: each run is short, and the next one follows at once.
AT_ONCE = 100


async def forget_media(store: TaskStore, uploads: Uploads | None, owner: uuid.UUID, media_url: str) -> None:
    """Remove what was uploaded for a task, unless another one is made of it as well."""
    upload_id = read_upload_id(media_url.removeprefix("upload://").rstrip("/"))
    if upload_id is None or uploads is None or not media_url.startswith("upload://"):
        return
    if not await store.is_media_used(owner, media_url):
        await uploads.remove(owner, upload_id)


async def remove_old(store: TaskStore, uploads: Uploads | None, age: timedelta) -> int:
    """Remove tasks that ended this long ago, with results, callbacks and media; return how many."""
    count = 0
    while removed := await store.delete_ended(age, AT_ONCE):
        for task in removed:
            await forget_media(store, uploads, task.owner, task.media_url)
        count += len(removed)
    return count
