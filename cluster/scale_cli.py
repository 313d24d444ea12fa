"""`facefleet scale`: how many replicas there shall be of what."""

from typing import Annotated

import typer

from app.commands.codes import FAILED, WRONG_USAGE
from app.commands.running import say_error
from app.settings import load_settings
from cluster.local import ServiceProblem
from cluster.local import scale as scale_service
from cluster.scaling import BadWish, read_wish
from pipelines.errors import FacefleetError


def scale(
    wishes: Annotated[
        list[str], typer.Argument(metavar="DEPLOYMENT=N...", help="ingress=4, ingress=2-8 or ingress=auto.")
    ],
) -> None:
    """Give the service on this box other numbers of replicas, until its next start; no request is lost.

    `auto` takes back what was said by hand. In a cluster change the RayService instead: its operator would
    undo what is said here.
    """
    try:
        scale_service(load_settings(), [read_wish(each) for each in wishes])
    except BadWish as error:
        say_error(str(error))
        raise typer.Exit(WRONG_USAGE) from error
    except (ServiceProblem, FacefleetError, OSError) as error:
        say_error(str(error))
        raise typer.Exit(FAILED) from error
    typer.echo("facefleet: done")
