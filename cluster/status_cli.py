"""`facefleet status`: whether the service is well, what it is busy with, and, for operators, how it runs."""

from typing import Any

import httpx
import typer

from app.client.errors import ApiError
from app.commands.codes import DONE, TRY_LATER
from app.commands.running import AsJson, client_of, connection_of, print_json, print_table
from app.commands.status import callers_view, print_callers_view
from app.settings import load_settings
from cluster.environment import place_of
from cluster.local import read_state
from cluster.metrics_names import RAY_PREFIX
from pipelines.metrics import PREFIX, REQUESTS_IN_WORK

IN_WORK = f"{RAY_PREFIX}{PREFIX}{REQUESTS_IN_WORK.name}{{"


def status(context: typer.Context, *, json: AsJson = False) -> None:
    """Tell whether the service is well, and your key's tasks by state: exit code 6 where it is not ready.

    With FACEFLEET_ADMIN_PASSWORD set it tells of replicas, queue, requests in work, latency and each key too.
    """
    with client_of(context) as client:
        seen = callers_view(client)
        fleet: dict[str, Any] | None = None
        if connection_of(context).admin is not None:
            try:
                fleet = {**client.console.overview(), "requests_in_work": requests_in_work()}
            except ApiError as error:
                fleet = {"problem": error.message}
        if json:
            print_json({**seen, "fleet": fleet})
        else:
            print_callers_view(seen, connection_of(context).origin)
            if fleet is not None:
                _print_fleet(fleet)
        raise typer.Exit(DONE if seen["health"].is_well else TRY_LATER)


def requests_in_work() -> int | None:
    """Return how many requests the service on this box holds; None where none runs here or says so."""
    running = read_state(place_of(load_settings()))
    if running is None or running.metrics_url is None:
        return None
    try:
        lines = httpx.get(running.metrics_url, timeout=5, trust_env=False).text.splitlines()
    except httpx.HTTPError:
        return None
    found = [float(line.rpartition(" ")[2]) for line in lines if line.startswith(IN_WORK)]
    return round(sum(found)) if found else None


def _print_fleet(fleet: dict[str, Any]) -> None:
    if "problem" in fleet:
        typer.echo(f"fleet: {fleet['problem']}")
        return
    rows = [
        (each["name"], f"{each['running']}/{each['wanted']}", each["status"].lower(), each["message"])
        for each in fleet["deployments"]
    ]
    typer.echo("")
    print_table(["DEPLOYMENT", "REPLICAS", "STATE", ""], rows)
    now, times = fleet["tasks_now"], fleet["latency_ms"]
    in_work = fleet["requests_in_work"]
    typer.echo(f"\nqueue: {now['queued']} tasks wait, {now['running']} run")
    typer.echo(f"requests in work: {'unknown from here' if in_work is None else in_work}")
    told = ", ".join(f"{name} {value:g} ms" for name, value in times.items() if value is not None)
    typer.echo(f"pictures in the last hour: {told or 'none'}")
    keys = [(each["name"] or each["api_key_id"], each["minutes"]) for each in fleet["minutes_by_key"]]
    if keys:
        typer.echo("")
        print_table(["KEY", f"MINUTES OF {fleet['month']}"], keys)
