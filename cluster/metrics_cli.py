"""`facefleet metrics`: what Prometheus would read of the service on this box."""

from typing import Annotated

import httpx
import typer

from app.settings import load_settings
from cluster.environment import place_of
from cluster.local import read_state
from cluster.metrics_names import RAY_PREFIX
from pipelines.metrics import PREFIX

_OURS = (f"{RAY_PREFIX}{PREFIX}", f"# HELP {RAY_PREFIX}{PREFIX}", f"# TYPE {RAY_PREFIX}{PREFIX}")


def metrics(
    *,
    address: Annotated[bool, typer.Option("--address", help="Tell only where they are read.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Ray's and Serve's own figures as well.")] = False,
) -> None:
    """Print the service's figures in the form that Prometheus reads; docs/metrics.md tells what they are."""
    running = read_state(place_of(load_settings()))
    if running is None or running.metrics_url is None:
        typer.echo("facefleet: no service of this home runs here", err=True)
        raise typer.Exit(1)
    if address:
        typer.echo(running.metrics_url)
        return
    try:
        text = httpx.get(running.metrics_url, timeout=10, trust_env=False).text
    except httpx.HTTPError as error:
        typer.echo(f"facefleet: {running.metrics_url} does not answer", err=True)
        raise typer.Exit(1) from error
    for line in text.splitlines():
        if everything or line.startswith(_OURS):
            typer.echo(line)
