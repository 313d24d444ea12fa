"""The `facefleet` command: one group of commands for each thing an operator looks after."""

import typer

from cluster.service_cli import down, up
from models.cli import app as models_app

app = typer.Typer(
    name="facefleet",
    help="Self-hosted face analysis on Ray Serve.",
    no_args_is_help=True,
    # Errors of ours are shown as a line; a bug deserves Python's own, complete traceback.
    pretty_exceptions_enable=False,
)
app.add_typer(models_app)
app.command()(up)
app.command()(down)


@app.callback()
def _root() -> None:
    """Self-hosted face analysis on Ray Serve."""


def main() -> None:
    """Run the command line."""
    app()
