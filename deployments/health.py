"""What Serve's health checks ask: a replica that fails them is replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.errors import DependencyDown

if TYPE_CHECKING:
    from pipelines.ports import ImageEngine, Lane

STUCK = "work on this replica does not end"


def refuse_stuck(lane: Lane) -> None:
    """Fail where the lane is stuck.

    Raises:
        DependencyDown: it is.
    """
    if lane.is_stuck:
        raise DependencyDown(STUCK)


async def refuse_unready(engine: ImageEngine) -> None:
    """Fail where the engine of this process would not answer.

    Raises:
        DependencyDown: it would not.
    """
    if not await engine.ready():
        raise DependencyDown(STUCK)
