"""`python -m cluster.bench.dashboards`: every query and rule of ours, asked of a real Prometheus.

A service is loaded for some minutes in all its parts while a Prometheus reads its figures. Then each query of
the dashboards is asked as Grafana would ask it, and each page is drawn to `bench/`. Grafana itself takes no
part. The exit code is 1 where a panel shows nothing although it should, or a rule cannot be evaluated.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import yaml
from rich.console import Console
from rich.table import Table

from app.settings import Settings
from cluster.bench.clients import Clients
from cluster.bench.graphs import Graph, Series, page
from cluster.bench.pictures import group_photo, portrait
from cluster.bench.task_load import UNBOUNDED, hearing, tasks_of
from cluster.bench.videos import served, walk_through
from cluster.environment import place_of
from cluster.local import read_state
from cluster.monitoring.dashboards import DASHBOARDS, EVERY
from cluster.ports import free_ports
from cluster.trial import trial_service
from models.store import default_home

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cluster.bench.task_load import Tasks
    from cluster.monitoring.panels import Dashboard, Panel
    from cluster.trial import Trial

MONITORING = Path(__file__).parents[1] / "monitoring"
SHAPE = {"placement": {"decode": "ingress", "detector": "pool", "attributes": "inline"}}
SCRAPE_S, STEP_S, RATE_OVER = 5, 5, "30s"
CLIENTS, VIDEO_S = 3, 20
#: There is nothing to show of these on a machine without a GPU, or while nothing goes wrong.
MAY_BE_EMPTY: Final = frozenset({"GPU", "Trouble"})


@contextmanager
def prometheus(program: str, metrics_url: str) -> Iterator[str]:
    """Run a Prometheus over these figures with our rules, and yield where it answers."""
    with tempfile.TemporaryDirectory() as name:
        folder, (port,) = Path(name), free_ports(1)
        config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        config["global"]["scrape_interval"] = f"{SCRAPE_S}s"
        config["rule_files"] = [str(MONITORING / "alerts.yaml")]
        target = httpx.URL(metrics_url)
        config["scrape_configs"][0]["static_configs"] = [{"targets": [f"{target.host}:{target.port}"]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        arguments = {
            "config.file": folder / "prometheus.yml",
            "storage.tsdb.path": folder / "data",
            "web.listen-address": f"127.0.0.1:{port}",
            "log.level": "error",
        }
        running = subprocess.Popen([program, *(f"--{name}={value}" for name, value in arguments.items())])  # noqa: S603 - the caller's own program
        try:
            yield f"http://127.0.0.1:{port}/api/v1"
        finally:
            running.terminate()
            running.wait()


def keep_busy(service: Trial, media: str, folder: Path, seconds: float) -> None:
    """Use every part of the service for so long: pictures, refusals, tasks with webhooks, libraries."""
    photo = group_photo()
    (folder / "photo.jpg").write_bytes(photo)
    (folder / "portrait.png").write_bytes(portrait())
    walk_through(photo, folder / "walk.mp4", VIDEO_S)
    clients = Clients(service, photo, CLIENTS, pause_s=0.1)
    clients.start()
    end = time.monotonic() + seconds
    with tasks_of(service) as tasks, hearing() as hearer:
        _enrol(tasks, media)
        try:
            clients.go_on()
            while time.monotonic() < end:
                for kind, name in (("image", "photo.jpg"), ("video", "walk.mp4")):
                    url = f"{media}/{name}"
                    tasks.create(type=kind, media_url=url, callback_url=hearer.url)
                _refused_and_searched(tasks, media)
                clients.pause() if int(end - time.monotonic()) % 60 > 40 else clients.go_on()  # noqa: PLR2004 - a rest each minute
                time.sleep(4)
        finally:
            clients.stop()


def _enrol(tasks: Tasks, media: str) -> None:
    tasks.http.post("/v1/library", json={"library_id": "people", "name": "People"}).raise_for_status()
    face = {"person_id": "eileen", "name": "Eileen", "image_url": f"{media}/portrait.png"}
    tasks.http.post("/v1/library/people/face", json=face).raise_for_status()


def _refused_and_searched(tasks: Tasks, media: str) -> None:
    tasks.http.post("/api/v1/detect", files={"image": b"no picture"})
    tasks.http.post("/v1/library/people/search", json={"image_url": f"{media}/photo.jpg"}).raise_for_status()
    tasks.http.post(
        "/api/v1/mask", files={"image": (MONITORING.parent / "assets/astronaut.jpg").read_bytes()}
    )


def answers(api: httpx.Client, panel: Panel, begun: float, ended: float) -> list[Series]:
    """Return the lines of a panel, named as its legend says."""
    found = []
    for query in panel.queries:
        asked: dict[str, str | float] = {
            "query": query.expression.replace(EVERY, RATE_OVER),
            "start": begun,
            "end": ended,
            "step": STEP_S,
        }
        answer = api.get("/query_range", params=asked).raise_for_status().json()
        for line in answer["data"]["result"]:
            points = [(at - begun, float(value)) for at, value in line["values"] if value != "NaN"]
            if points:
                found.append(Series(_named(query.legend, line["metric"]), points))
    return found


def _named(legend: str, labels: dict[str, str]) -> str:
    name = re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)
    return name or ", ".join(labels.values())


def draw(api: httpx.Client, dashboard: Dashboard, begun: float, ended: float) -> tuple[str, list[Graph]]:
    """Return the page of a dashboard, and its graphs."""
    rows = [
        [Graph(panel.title, panel.unit, answers(api, panel, begun, ended)) for panel in row]
        for row in dashboard.rows
    ]
    return page(dashboard.title, rows, ended - begun), [graph for row in rows for graph in row]


def ill_rules(api: httpx.Client) -> tuple[list[str], list[str]]:
    """Return the rules that cannot be evaluated, and those that fire."""
    groups: list[dict[str, Any]] = api.get("/rules").raise_for_status().json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    return (
        [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"],
        [rule["name"] for rule in rules if rule["state"] == "firing"],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Load, ask, draw, and say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=default_home() / "models")
    parser.add_argument("--prometheus", default="prometheus", help="the program")
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--out", type=Path, default=Path("bench"))
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as name,
        served(Path(name)) as media,
        trial_service(SHAPE, UNBOUNDED, options.weights) as service,
    ):
        running = read_state(place_of(Settings(home=service.home)))
        if running is None or running.metrics_url is None:
            sys.exit("the service shows no figures")
        with prometheus(options.prometheus, running.metrics_url) as address:
            begun = time.time()
            keep_busy(service, media, Path(name), options.seconds)
            time.sleep(2 * SCRAPE_S)
            with httpx.Client(base_url=address, timeout=60, trust_env=False) as api:
                pages = {each.uid: draw(api, each, begun, time.time()) for each in DASHBOARDS}
                ill, firing = ill_rules(api)
    options.out.mkdir(parents=True, exist_ok=True)
    for uid, (picture, _) in pages.items():
        (options.out / f"{uid}.svg").write_text(picture)
    graphs = [graph for _, found in pages.values() for graph in found]
    show(graphs, ill, firing)
    sys.exit(bool(ill) or any(not graph.series and graph.title not in MAY_BE_EMPTY for graph in graphs))


def show(graphs: list[Graph], ill: list[str], firing: list[str]) -> None:
    """Print what was found."""
    table = Table("panel", "lines", title="What Prometheus answered")
    for graph in graphs:
        table.add_row(graph.title, str(len(graph.series)) if graph.series else "none")
    console = Console()
    console.print(table)
    console.print(f"rules that cannot be evaluated: {', '.join(ill) or 'none'}")
    console.print(f"rules that fire: {', '.join(firing) or 'none'}")


if __name__ == "__main__":
    main()
