"""How many runners of tasks there shall be: as many as keep up with what waits and runs.

Runners get no requests to count. Each reads the queue from the database every few seconds anyway, for the
figures; Serve asks each for that number, and the policy asked by Serve's autoscaler divides it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pipelines.metrics import TASKS_RUNNING, TASKS_WAITING

if TYPE_CHECKING:
    from collections.abc import Mapping

OPEN: Final = "unfinished_tasks"
POLICY: Final = f"{__name__}:BacklogPolicy"


def unfinished_tasks() -> dict[str, float]:
    """Return how many tasks wait or run, as this process knows it; nothing where it does not know yet."""
    values = [each.value for level in (TASKS_WAITING, TASKS_RUNNING) for each in level.readings()]
    return {OPEN: sum(values)} if values else {}


class BacklogPolicy:
    """Decides by the tasks that wait or run.

    Args:
        per_replica: tasks that each replica is to have.
    """

    def __init__(self, per_replica: float) -> None:
        self._per_replica = per_replica

    def __call__(self, context: Any) -> tuple[float, dict[str, Any]]:  # noqa: ANN401 - Serve's context
        """Return how many replicas there should be, and nothing to be remembered."""
        told: Mapping[object, float] = (context.aggregated_metrics or {}).get(OPEN) or {}
        if not told:
            return float(context.target_num_replicas), {}
        # All of them read the same table: the largest number is as good as the newest.
        return max(told.values()) / self._per_replica, {}
