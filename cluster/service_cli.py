"""`facefleet up` and `facefleet down`: the service on this box."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.keys import create_first_key
from app.settings import Settings, load_settings
from cluster.local import CONFIG, Running, ServiceProblem, start, stop
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
        first_key = None if settings.bootstrap_key else create_first_key(settings.home)
        running = start(settings, config)
    except (ServiceProblem, RayDidNotStart, FacefleetError, OSError) as error:
        typer.echo(f"facefleet: {error}", err=True)
        raise typer.Exit(1) from error
    _greet(running, settings, first_key)


def down() -> None:
    """Stop the service of this home; what it has stored stays."""
    try:
        found = stop(load_settings())
    except (ServiceProblem, OSError) as error:
        typer.echo(f"facefleet: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo("facefleet: stopped" if found else "facefleet: nothing was running")


def _greet(running: Running, settings: Settings, first_key: str | None) -> None:
    """Print the address, the key and a call that works as it stands."""
    given = settings.bootstrap_key
    key = given.get_secret_value() if given else first_key
    typer.echo(f"\nFacefleet answers at {running.url} (its own description: {running.url}/docs)")
    typer.echo(f"Data: {settings.home}")
    if not settings.api_key_enabled:
        typer.echo("Keys are not asked for (FACE_API_API_KEY_ENABLED=false).")
    elif first_key:
        typer.echo(f"Key: {first_key}\n     It is shown this once; keep it.")
    elif given:
        typer.echo(f"Key: {key} (FACE_API_BOOTSTRAP_KEY)")
    else:
        typer.echo("Key: the one that the first start printed.")
    header = f' -H "X-API-Key: {key or "$FACEFLEET_KEY"}"' if settings.api_key_enabled else ""
    typer.echo(f'\n  curl -X POST "{running.url}/api/v1/detect"{header} -F "image=@{SAMPLE}"\n')
    sys.stdout.flush()
