"""Tasks that ended long ago are removed with all that belongs to them; nothing else is."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from app.errors import NotFound
from app.tasks.retention import remove_old
from app.tasks.signing import TextSigner
from app.tasks.store import TaskStore
from tests.app.tasks.conftest import ALICE

if TYPE_CHECKING:
    from tests.app.tasks.conftest import Desk

MONTH = timedelta(days=30)


async def test_only_what_ended_long_ago_goes(desk: Desk) -> None:
    """A month later the ended task is gone, the one that still waits is not; before that both are there."""
    ended, waiting = await desk.create(), await desk.create()
    await desk.store.cancel(ALICE, ended)
    assert await remove_old(desk.store, None, MONTH) == 0
    later = TaskStore(desk.database, TextSigner(desk.database), now=_in_two_months)
    assert await remove_old(later, None, MONTH) == 1
    with pytest.raises(NotFound):
        await desk.store.get(ALICE, ended)
    assert (await desk.store.get(ALICE, waiting)).completed_at is None


def _in_two_months() -> datetime:
    return datetime.now(timezone.utc) + 2 * MONTH
