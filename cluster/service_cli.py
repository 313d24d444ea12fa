"""`facefleet up` and `facefleet down`: the service on this box."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.settings import Settings, load_settings
from cluster.first_start import Made, make_first_secrets
from cluster.local import CONFIG, Running, ServiceProblem, start, stop, waits_for
from cluster.ray_start import RayDidNotStart
from models.cli import pull
from models.manifest import DEFAULT_PACK
from pipelines.errors import FacefleetError

SAMPLE = Path(__file__).parent / "assets" / "astronaut.jpg"


def up(
    config: Annotated[Path, typer.Option(help="The service's shape.", exists=True, dir_okay=False)] = CONFIG,
) -> None:
    """Start the service here, wait until it answers, and print how to call it."""
    settings = load_settings()
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        pull(pack=DEFAULT_PACK, home=settings.home, local=settings.models_dir)
        made = make_first_secrets(settings)
        _show(made, settings)  # before anything can fail: they are kept nowhere
        running = start(settings, config)
    except (ServiceProblem, RayDidNotStart, FacefleetError, OSError) as error:
        typer.echo(f"facefleet: {error}", err=True)
        raise typer.Exit(1) from error
    _greet(running, settings, made)


def down() -> None:
    """Stop the service of this home; what it has stored stays."""
    try:
        found = stop(load_settings())
    except (ServiceProblem, OSError) as error:
        typer.echo(f"facefleet: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo("facefleet: stopped" if found else "facefleet: nothing was running")


def _show(made: Made, settings: Settings) -> None:
    """Print the secrets that were made just now."""
    if made.key or made.admin_password:
        typer.echo("These are shown this once; keep them.")
    if made.key:
        typer.echo(f"Key: {made.key}")
    if made.admin_password:
        typer.echo(f"Admin: {settings.admin_username}\nAdmin password: {made.admin_password}")
    if made.trouble:
        typer.echo(f"No key could be made: {made.trouble}. Run this command again once that is over.")
    sys.stdout.flush()


def _greet(running: Running, settings: Settings, made: Made) -> None:
    """Print the address, and a call that works as it stands."""
    given = settings.bootstrap_key
    key = given.get_secret_value() if given else made.key
    typer.echo(f"\nFacefleet answers at {running.url} (for browsers: a console; the API: {running.url}/docs)")
    if reason := waits_for(running):
        typer.echo(f"It is not ready yet: {reason}. It will be as soon as that is over.")
    typer.echo(f"Data: {settings.home}")
    if not settings.api_key_enabled:
        typer.echo("Keys are not asked for (FACE_API_API_KEY_ENABLED=false).")
    elif given:
        typer.echo(f"Key: {key} (FACE_API_BOOTSTRAP_KEY)")
    elif not made.key and not made.trouble:
        typer.echo("Key: the one that the first start printed.")
    header = f' -H "X-API-Key: {key or "$FACEFLEET_KEY"}"' if settings.api_key_enabled else ""
    typer.echo(f'\n  curl -X POST "{running.url}/api/v1/detect"{header} -F "image=@{SAMPLE}"\n')
    sys.stdout.flush()
