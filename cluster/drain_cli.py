"""`facefleet drain`: out of work, and nothing lost."""

from typing import Annotated

import typer

from app.commands.codes import FAILED, WRONG_USAGE
from app.commands.running import say_error
from app.settings import load_settings
from cluster.draining import NotEmpty, drain_node, drain_service
from cluster.local import ServiceProblem
from pipelines.errors import FacefleetError


def drain(
    node: Annotated[
        str | None,
        typer.Argument(
            help="One node: its name, host, address or id; `here` in its own pod. Else the whole."
        ),
    ] = None,
    *,
    within: Annotated[
        float,
        typer.Option(
            help="Seconds after which replicas of a node end even without a place elsewhere.", min=1
        ),
    ] = 300,
    undo: Annotated[bool, typer.Option("--undo", help="Let the service work again.")] = False,
) -> None:
    """Take the service on this box, or one node of a cluster, out of work; return once it is empty.

    Requests under way are answered. Tasks in work go back into the queue with what is done of them, and any
    other runner takes them up at once. Without a node the service stays there and refuses what is new, with
    503, until `--undo` or its next start.
    """
    if undo and node is not None:
        say_error("a node that was taken out does not come back; start a new one")
        raise typer.Exit(WRONG_USAGE)
    try:
        if node is not None:
            gone = drain_node(load_settings(), node, within)
            typer.echo(f"facefleet: node {gone[:8]} is empty and gone")
        else:
            drain_service(load_settings(), undo=undo)
            typer.echo("facefleet: works again" if undo else "facefleet: empty; it takes no new work")
    except (NotEmpty, ServiceProblem, FacefleetError, OSError) as error:
        say_error(str(error))
        raise typer.Exit(FAILED) from error
