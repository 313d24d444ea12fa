"""`python -m cluster.bench.recognition_video PICTURES`: what naming people costs, and how right it is.

A film is made of pictures of known people, half of whom are enrolled by a picture that is not in it. The
same film is analysed with and without `recognize`, in turns. Who was named is compared with who is there, in
seconds of spans: precision of what was named, recall of what could be.
"""

from __future__ import annotations

import argparse
import base64
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from cluster.bench.films import read_cast, render, schedule
from cluster.bench.task_load import UNBOUNDED, tasks_of
from cluster.bench.videos import served
from cluster.trial import trial_service
from models.calibrate import pictures_by_person
from models.detectors import load_detector
from models.manifest import load_manifest
from models.session import RuntimeOptions
from models.store import Store, default_home

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx

    from cluster.bench.films import Appearance, Cast
    from cluster.bench.task_load import Tasks

RATE = 5
LIBRARY = "bench"


@dataclass(frozen=True, slots=True)
class Named:
    """Who was named, against who is there.

    Attributes:
        precision: of the seconds in which somebody is named, those in which they are there.
        recall: of the seconds in which somebody enrolled is there, those in which they are named.
        off_s: how far the beginning and the end of a named span are from the truth, in the middle.
        wrong: spans that name somebody who is not there at all.
        people: enrolled ones and strangers in the film.
        identities: that were told.
    """

    precision: float
    recall: float
    off_s: float
    wrong: int
    people: int
    identities: int


def compare(persons: Sequence[Mapping[str, Any]], plan: Sequence[Appearance], enrolled: set[str]) -> Named:
    """Compare what a task told with the truth."""
    named_s = right_s = 0.0
    off: list[float] = []
    wrong = 0
    for person in persons:
        if person["person_id"] is None:
            continue
        there = [each for each in plan if each.person == person["person_id"]]
        for span in person["spans"]:
            start, end = span["start_ms"] / 1e3, span["end_ms"] / 1e3
            shared = [max(0.0, min(end, each.end_s) - max(start, each.start_s)) for each in there]
            named_s += end - start
            right_s += sum(shared)
            wrong += not any(shared)
            if any(shared):
                at = there[int(np.argmax(shared))]
                off += [abs(start - at.start_s), abs(end - at.end_s)]
    known_s = sum(each.end_s - each.start_s for each in plan if each.person in enrolled)
    people = len({each.person for each in plan})
    return Named(
        right_s / max(named_s, 1e-9),
        right_s / max(known_s, 1e-9),
        statistics.median(off or [0.0]),
        wrong,
        people,
        len(persons),
    )


def enrol(http: httpx.Client, pictures: Cast) -> set[str]:
    """Enrol everybody by the first of their pictures, and return those of whom it would do."""
    http.post("/v1/library", json={"library_id": LIBRARY}).raise_for_status()
    done = set()
    for person, faces in pictures.items():
        data = cv2.imencode(".jpg", faces[0])[1].tobytes()
        url = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
        answer = http.post(f"/v1/library/{LIBRARY}/face", json={"person_id": person, "image_url": url})
        done |= {person} if answer.is_success else set()
    return done


def timed(tasks: Tasks, fields: Mapping[str, Any]) -> tuple[float, str]:
    """Return how long a task takes, and which it is."""
    begun = time.perf_counter()
    task_id = tasks.create(**fields)
    tasks.finish(task_id)
    return time.perf_counter() - begun, task_id


def measure(given: argparse.Namespace, folder: Path, address: str) -> tuple[list[tuple[float, float]], Named]:
    """Return seconds of both tasks, round by round, and who was named."""
    store, manifest = Store(given.weights), load_manifest()
    network = manifest["yunet"]
    detector = load_detector(network, store.path(network), RuntimeOptions(device="cpu", threads=1))
    counts = Counter(person for person, _ in pictures_by_person(given.pictures))
    able = sorted(person for person, found in counts.items() if found > given.times)
    np.random.default_rng(given.seed).shuffle(able)
    everybody = read_cast(given.pictures, detector, able[: given.people])
    # The first picture is the one to be enrolled by.
    players: Cast = {name: found[1 : given.times + 1] for name, found in everybody.items() if len(found) > 1}
    plan = schedule(players, given.seed)
    render(players, plan, folder / "film.mp4")
    fields = {"type": "video", "media_url": f"{address}/film.mp4", "sample_rate": RATE, "min_face_size": 40}
    with trial_service({}, UNBOUNDED, given.weights) as service, tasks_of(service) as tasks:
        known = sorted(players)[: len(players) // 2]
        enrolled = enrol(tasks.http, {name: everybody[name] for name in known})
        asked = {**fields, "recognize": 1, "library_id": LIBRARY}
        timed(tasks, {**asked, "end_time": 10})
        rounds = [(timed(tasks, fields)[0], timed(tasks, asked)[0]) for _ in range(given.rounds)]
        _, task_id = timed(tasks, asked)
        answer = tasks.http.get(f"/v1/task/{task_id}/persons", params={"limit": 100}).json()
    return rounds, compare(answer["persons"], [each for each, _ in plan], enrolled)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path, help="folder or ZIP with a folder of pictures for each person")
    parser.add_argument("--weights", type=Path, default=default_home() / "models")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--times", type=int, default=4, help="that each appears, by another picture")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as address:
        rounds, named = measure(given, Path(name), address)
    plain, asked = (statistics.median(column) for column in zip(*rounds, strict=True))
    table = Table(show_header=False)
    table.add_row("task without recognize, s", f"{plain:.2f}")
    table.add_row("with it, s", f"{asked:.2f}")
    table.add_row("ratio", f"{statistics.median(b / a for a, b in rounds):.2f}")
    for field in ("precision", "recall", "off_s"):
        table.add_row(field.replace("off_s", "spans are off by, s"), f"{getattr(named, field):.3f}")
    table.add_row("spans that name somebody who is not there", str(named.wrong))
    table.add_row("people in the film, identities told", f"{named.people}, {named.identities}")
    Console().print(table)


if __name__ == "__main__":
    main()
