"""The `facefleet` command: one group of commands for each thing that can be looked after.

Commands are imported when they are asked for: those that speak to a service start in a fraction of the time
that those which start one need.
"""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from app.commands.running import Asking, KeyFile, Url, read_connection

#: Where each command is: a module and what it calls the command or the group.
COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("cluster.service_cli", "up"),
    "down": ("cluster.service_cli", "down"),
    "status": ("cluster.status_cli", "status"),
    "scale": ("cluster.scale_cli", "scale"),
    "drain": ("cluster.drain_cli", "drain"),
    "migrate": ("app.commands.migrating", "migrate"),
    "metrics": ("cluster.metrics_cli", "metrics"),
    "doctor": ("cluster.doctor_cli", "doctor"),
    "detect": ("app.commands.pictures", "detect"),
    "mask": ("app.commands.pictures", "mask"),
    "compare": ("app.commands.libraries", "compare"),
    "task": ("app.commands.tasks", "tasks_app"),
    "bulk": ("cluster.bulk_cli", "bulk_app"),
    "library": ("app.commands.libraries", "libraries_app"),
    "keys": ("app.commands.keys", "keys_app"),
    "models": ("models.cli", "app"),
    "completion": ("app.commands.completion", "completion"),
}


class _Commands(TyperGroup):
    """All commands, each imported when it is needed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - the base class's
        """Return their names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - as above
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        found = getattr(import_module(module), name)
        if not isinstance(found, typer.Typer):
            single = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
            single.command(cmd_name)(found)
            found = single
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(
    name="facefleet",
    cls=_Commands,
    help="Self-hosted face analysis on Ray Serve.",
    no_args_is_help=True,
    # Errors of ours are shown as a line; a bug deserves Python's own, complete traceback.
    pretty_exceptions_enable=False,
)


@app.callback()
def _root(context: typer.Context, url: Url = None, key_file: KeyFile = None) -> None:
    """Self-hosted face analysis on Ray Serve."""
    context.obj = Asking(read_connection(url, key_file))


def main() -> None:
    """Run the command line."""
    app(prog_name="facefleet")
