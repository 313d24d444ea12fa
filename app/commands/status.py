"""`facefleet status`: whether the service is well, and what it is busy with."""

import typer

from app.client.errors import ApiError
from app.commands.codes import DONE, TRY_LATER
from app.commands.running import AsJson, client_of, connection_of, print_json, print_table

#: Counting goes no further than this for each state.
MOST_COUNTED = 300
_STATES = ("queued", "running", "succeeded", "failed", "cancelled")


def status(context: typer.Context, *, json: AsJson = False) -> None:
    """Tell whether the service is well, and your key's tasks by state: exit code 6 where it is not ready."""
    with client_of(context) as client:
        health = client.health()
        tasks: dict[str, int] | None = None
        why: str | None = None
        try:
            tasks = {
                state: sum(1 for _ in client.tasks.each(status=state, most=MOST_COUNTED)) for state in _STATES
            }
        except ApiError as error:  # health needs no key, tasks do
            why = error.message
        if json:
            print_json({"health": health, "tasks": tasks, "tasks_problem": why, "most_counted": MOST_COUNTED})
        else:
            state = "ok" if health.is_well else "bad"
            parts = [
                ("service", state, health.detail or connection_of(context).origin),
                ("detector", "ok" if health.model_loaded else "bad", health.model),
                ("database", _state(health.database_enabled, health.database_ready), ""),
                ("storage", _state(health.storage_enabled, health.storage_ready), ""),
            ]
            print_table(["PART", "STATE", ""], parts, coloured="STATE")
            typer.echo(f"tasks: {why}" if tasks is None else f"tasks: {_counted(tasks)}")
        raise typer.Exit(DONE if health.is_well else TRY_LATER)


def _state(is_enabled: bool, is_ready: bool) -> str:  # noqa: FBT001 - two facts of one thing
    return "switched off" if not is_enabled else "ok" if is_ready else "bad"


def _counted(tasks: dict[str, int]) -> str:
    return ", ".join(
        f"{'over ' if count == MOST_COUNTED else ''}{count} {state}" for state, count in tasks.items()
    )
