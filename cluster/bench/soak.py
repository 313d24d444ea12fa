"""`python -m cluster.bench.soak --seed N`: tasks on a service whose parts are killed at random.

Tasks on pictures, animations and videos are handed in all the while; every few seconds something is killed
with SIGKILL: a worker of a chunk, the task runner, an ingress replica, or all of the service, which is then
started again. With `--postgres` the database, which is one then, goes away for 30 seconds now and then. The
same seed hands in the same tasks and kills the same kinds in the same order. At the end:

- every accepted task has ended once, and well;
- its result is that of an undisturbed run;
- its webhook was heard at least once, under one id;
- nothing is left in scratch, and no worker works.

The exit code is 1 where any of that is not so.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import httpx
import numpy as np
import psutil
from PIL import Image
from rich.console import Console
from rich.table import Table

from cluster.bench.pictures import group_photo
from cluster.bench.postgres import postgres
from cluster.bench.task_load import UNBOUNDED, hearing, tasks_of
from cluster.bench.videos import served, walk_through
from cluster.trial import trial_service
from models.store import default_home

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from cluster.bench.postgres import BenchPostgres
    from cluster.bench.task_load import Hearer, Tasks
    from cluster.trial import Trial

VIDEO_S = 20
KILLS = {"worker": 6, "tasks": 3, "ingress": 3, "everything": 1}
DATABASE = "database"
DATABASE_WEIGHT = 2
AWAY_S = 30.0
#: Chunks of a few seconds of the video: there are some to lose.
SMALL_CHUNKS = {"chunks": {"num_cpus": 0.1, "work_s": 1.0}}
PATIENCE_S = 240.0
OPEN = {"queued", "running"}


@dataclass
class Findings:
    """What went wrong; nothing should have."""

    accepted: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    problems: list[str] = field(default_factory=list)


def make_media(folder: Path) -> dict[str, dict[str, Any]]:
    """Write the media, and return what is asked of each."""
    photo = group_photo()
    (folder / "photo.jpg").write_bytes(photo)
    walk_through(photo, folder / "walk.mp4", VIDEO_S)
    pixels = np.asarray(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    small = Image.fromarray(cv2.resize(pixels, (640, 443))[:, :, ::-1])
    turned = [small.rotate(angle) for angle in range(0, 40, 4)]
    turned[0].save(folder / "moving.gif", save_all=True, append_images=turned[1:], duration=300)
    return {
        "photo.jpg": {"type": "image"},
        "moving.gif": {"type": "gif", "sample_rate": 4},
        "walk.mp4": {"type": "video", "sample_rate": 10},
    }


def soak(
    service: Trial, folder: Path, address: str, seconds: float, seed: int, database: BenchPostgres | None
) -> Findings:
    """Hand in tasks and kill for so long, then wait for the end of every task and look at all of it."""
    chance, found = random.Random(seed), Findings()  # noqa: S311 - to be replayed, not to be secret
    kills = KILLS if database is None else {**KILLS, DATABASE: DATABASE_WEIGHT}
    back: threading.Timer | None = None
    media = make_media(folder)
    with tasks_of(service) as tasks, hearing() as hearer:
        undisturbed = {
            name: tasks.finish(tasks.create(**asked, media_url=f"{address}/{name}"))["result"]
            for name, asked in media.items()
        }
        accepted: dict[str, str] = {}
        end = time.monotonic() + seconds
        next_kill = time.monotonic() + chance.uniform(2, 6)
        while time.monotonic() < end:
            name = chance.choices(list(media), [5, 2, 3])[0]
            task_id = _hand_in(
                tasks, {**media[name], "media_url": f"{address}/{name}", "callback_url": hearer.url}
            )
            if task_id is None:
                found.refused += 1
            else:
                accepted[task_id] = name
                found.accepted[name] += 1
            if time.monotonic() > next_kill:
                kind = chance.choices(list(kills), list(kills.values()))[0]
                if back is not None and kind in {DATABASE, "everything"}:
                    back.join()  # a service does not start without its database, nor can that go away twice
                if kind == DATABASE and database is not None:
                    back = database.go_away(AWAY_S)
                else:
                    _kill(service, kind, chance)
                found.killed[kind] += 1
                next_kill = time.monotonic() + chance.uniform(4, 12)
            time.sleep(chance.uniform(0.2, 1.2))
        if back is not None:
            back.join()
        _check_results(tasks, accepted, undisturbed, found)
        _check_webhooks(hearer, accepted, found)
    _check_remains(service, found)
    return found


def _hand_in(tasks: Tasks, fields: dict[str, Any]) -> str | None:
    """Return a task's id; None where the service did not accept it, as it may while parts are away."""
    try:
        return tasks.create(**fields)
    except httpx.HTTPError:
        return None


def _kill(service: Trial, kind: str, chance: random.Random) -> None:
    if kind == "everything":
        for process in service.processes():
            _end(process)
        service.facefleet("up")
        return
    found = _workers(service) if kind == "worker" else service.replicas(kind)
    if found:
        _end(chance.choice(found))


def _end(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _workers(service: Trial) -> list[psutil.Process]:
    found = []
    for process in service.processes():
        try:
            if "ray::ChunkWorker.analyse" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _check_results(
    tasks: Tasks, accepted: dict[str, str], undisturbed: dict[str, Any], found: Findings
) -> None:
    deadline = time.monotonic() + PATIENCE_S
    for task_id, name in accepted.items():
        task: dict[str, Any] = {"status": "queued"}
        while task["status"] in OPEN and time.monotonic() < deadline:
            try:
                task = tasks.http.get(f"/v1/task/{task_id}").raise_for_status().json()
            except httpx.HTTPError:
                time.sleep(0.5)
                continue
            if task["status"] in OPEN:
                time.sleep(0.2)
        if task["status"] != "succeeded":
            found.problems.append(f"{task_id} ({name}): {task['status']}, {task.get('error')}")
        elif task["result"] != undisturbed[name]:
            found.problems.append(f"{task_id} ({name}): another result than undisturbed")


def _check_webhooks(hearer: Hearer, accepted: dict[str, str], found: Findings) -> None:
    deadline = time.monotonic() + 60
    while accepted.keys() - hearer.at.keys() and time.monotonic() < deadline:
        time.sleep(0.2)
    found.problems += [f"{task_id}: no webhook" for task_id in accepted.keys() - hearer.at.keys()]
    by_task: dict[str, set[str]] = defaultdict(set)
    for task_id, webhook_id in hearer.ids:
        by_task[task_id].add(webhook_id)
    found.problems += [
        f"{task_id}: {len(ids)} webhook ids" for task_id, ids in by_task.items() if len(ids) > 1
    ]


def _check_remains(service: Trial, found: Findings) -> None:
    time.sleep(1)
    left = [path for path in (service.home / "scratch").glob("*/*/") if path.is_dir()]
    found.problems += [f"left in scratch: {path.name}" for path in left]
    found.problems += [f"a worker still works: {process.pid}" for process in _workers(service)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Soak, print what was found, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=default_home() / "models")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL, which goes away at times")
    parser.add_argument("--out", type=Path, default=Path("bench/soak.json"))
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as name,
        served(Path(name)) as address,
        postgres() if options.postgres else nullcontext() as database,
        trial_service(
            SMALL_CHUNKS,
            UNBOUNDED | ({} if database is None else {"FACE_API_DATABASE_URL": database.url}),
            options.weights,
        ) as service,
    ):
        found = soak(service, Path(name), address, options.seconds, options.seed, database)
    table = Table(title=f"{options.seconds:g} s of random kills, seed {options.seed}")
    for column in ("accepted", "refused", "killed", "problems"):
        table.add_column(column)
    table.add_row(
        ", ".join(f"{count} {name}" for name, count in found.accepted.items()),
        str(found.refused),
        ", ".join(f"{count} {kind}" for kind, count in found.killed.items()),
        str(len(found.problems)),
    )
    Console().print(table)
    for problem in found.problems:
        print(problem)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    counted = {"accepted": found.accepted, "killed": found.killed, "problems": found.problems}
    options.out.write_text(json.dumps({"seed": options.seed, **counted}, indent=2))
    sys.exit(1 if found.problems else 0)


if __name__ == "__main__":
    main()
