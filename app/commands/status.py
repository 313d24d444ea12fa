"""What a caller is told by `facefleet status`: whether the service is well, and its key's tasks."""

from typing import Any

import typer

from app.client import Client
from app.client.errors import ApiError
from app.commands.running import print_table

#: Counting goes no further than this for each state.
MOST_COUNTED = 300
_STATES = ("queued", "running", "succeeded", "failed", "cancelled")


def callers_view(client: Client) -> dict[str, Any]:
    """Return the service's health, and the key's tasks by state or why they are not told."""
    health = client.health()
    tasks: dict[str, int] | None = None
    why: str | None = None
    try:
        tasks = {
            state: sum(1 for _ in client.tasks.each(status=state, most=MOST_COUNTED)) for state in _STATES
        }
    except ApiError as error:  # health needs no key, tasks do
        why = error.message
    return {"health": health, "tasks": tasks, "tasks_problem": why, "most_counted": MOST_COUNTED}


def print_callers_view(seen: dict[str, Any], origin: str) -> None:
    """Print it."""
    health, tasks = seen["health"], seen["tasks"]
    parts = [
        ("service", "ok" if health.is_well else "bad", health.detail or origin),
        ("detector", "ok" if health.model_loaded else "bad", health.model),
        ("database", _state(health.database_enabled, health.database_ready), ""),
        ("storage", _state(health.storage_enabled, health.storage_ready), ""),
    ]
    print_table(["PART", "STATE", ""], parts, coloured="STATE")
    typer.echo(f"tasks: {seen['tasks_problem']}" if tasks is None else f"tasks: {_counted(tasks)}")


def _state(is_enabled: bool, is_ready: bool) -> str:  # noqa: FBT001 - two facts of one thing
    return "switched off" if not is_enabled else "ok" if is_ready else "bad"


def _counted(tasks: dict[str, int]) -> str:
    return ", ".join(
        f"{'over ' if count == MOST_COUNTED else ''}{count} {state}" for state, count in tasks.items()
    )
