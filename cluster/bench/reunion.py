"""`python -m cluster.bench.reunion PICTURES`: how many people are counted in films whose people are known.

Films are made of pictures of known people, a folder for each, and analysed as tasks are, in this process. Of
each: people, tracks, identities that were told; pairs of tracks that were joined wrongly; identities beyond
one for each person.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from app.tasks.recognizing import REUNION_SCORE
from cluster.bench.films import read_cast, render, schedule
from models.calibrate import calibration_of, pictures_by_person
from models.detectors import load_detector
from models.embedder import load_embedder
from models.manifest import load_manifest
from models.session import RuntimeOptions
from models.store import Store, default_home
from pipelines.embed_faces import CropEmbedder
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.read_attributes import InlineCropNetworks
from pipelines.video.analyze_chunk import ChunkAnalyzer, FrameOptions, Frames
from pipelines.video.identities import Follower, TrackLooks, join_unknown
from pipelines.video.plan import plan_chunks
from pipelines.video.probe import probe_video
from pipelines.video.sampling import Sampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster.bench.films import Appearance, Cast
    from pipelines.video.identities import TrackLook
    from pipelines.video.records import FrameRecord

RATE = 5


@dataclass(frozen=True, slots=True)
class Followed:
    """A film as it was analysed.

    Attributes:
        people: who are in it, of whom a track was found.
        tracks: what was followed.
        truth: who each track is.
    """

    people: int
    tracks: list[TrackLook]
    truth: dict[int, str]


@dataclass(frozen=True, slots=True)
class Counted:
    """What came of joining its tracks."""

    people: int
    tracks: int
    identities: int
    wrong_pairs: int
    splits: int


def count(followed: Followed, same: dict[int, int]) -> Counted:
    """Compare what was joined with what is true."""
    truth = followed.truth
    known = [track.span.number for track in followed.tracks if track.span.number in truth]
    wrong = sum(same[a] == same[b] and truth[a] != truth[b] for a, b in combinations(known, 2))
    groups = {same[number] for number in known}
    of_people = {(truth[number], same[number]) for number in known}
    return Counted(followed.people, len(known), len(groups), wrong, len(of_people) - followed.people)


class Cinema:
    """Analyses films as chunk workers do, in this process.

    Args:
        store: of the networks.
        lane: where pixels are worked on.
    """

    def __init__(self, store: Store, lane: ThreadLane) -> None:
        manifest, cpu = load_manifest(), RuntimeOptions(device="cpu", threads=1)
        self.detector = load_detector(manifest["yunet"], store.path(manifest["yunet"]), cpu)
        sface = load_embedder(manifest["sface"], store.path(manifest["sface"]), cpu)
        embedder = CropEmbedder(InlineCropNetworks([sface], lane), "sface", lane)
        self._analyzer = ChunkAnalyzer(InlineDetector(self.detector, lane), lane, embedder=embedder)

    def follow(self, film: Path, plan: Sequence[tuple[Appearance, int]]) -> Followed:
        """Return a film's tracks, and who they are."""
        probe, sampling = probe_video(film), Sampling(RATE)
        records = []
        for chunk in plan_chunks(probe, sampling):
            frames = Frames(film, probe.info.size, sampling, (probe.info, chunk))
            records += asyncio.run(self._records(frames))
        looks, follower = TrackLooks(RATE), Follower(RATE)
        looks.add(records)
        votes: dict[int, Counter[str]] = {}
        for record in records:
            for number, face in zip(follower.step(record)[0], record.faces, strict=True):
                x = (face.box[0] + face.box[2]) / 2
                votes.setdefault(number, Counter()).update(
                    each.person for each, _ in plan if each.covers(record.timestamp, x)
                )
        truth = {number: found.most_common(1)[0][0] for number, found in votes.items() if found}
        return Followed(len(set(truth.values())), looks.finish(), truth)

    async def _records(self, frames: Frames) -> list[FrameRecord]:
        asked = FrameOptions(confidence=0.6, min_face_px=40, embed=True)
        return [record async for record in self._analyzer.records(frames, asked)]


def choose(source: Path, people: int, pictures: int, films: int, seed: int) -> list[list[str]]:
    """Return who plays in each film: different people who have at least so many pictures."""
    counts = Counter(person for person, _ in pictures_by_person(source))
    able = sorted(person for person, found in counts.items() if found >= pictures)
    np.random.default_rng(seed).shuffle(able)
    return [able[start : start + people] for start in range(0, min(len(able), films * people), people)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path, help="folder or ZIP with a folder of pictures for each person")
    parser.add_argument("--weights", type=Path, default=default_home() / "models")
    parser.add_argument("--people", type=int, default=6, help="in a film")
    parser.add_argument("--times", type=int, default=4, help="that each appears, by another picture")
    parser.add_argument("--films", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    store = Store(given.weights)
    manifest = load_manifest()
    calibration = calibration_of(manifest["sface"], store.path(manifest["sface"]), flip=False)
    threshold = calibration.cosine(REUNION_SCORE)
    casts = choose(given.pictures, given.people, given.times, given.films, given.seed)
    with ThreadLane(1) as lane, tempfile.TemporaryDirectory() as folder:
        cinema = Cinema(store, lane)
        everybody = read_cast(given.pictures, cinema.detector, {name for names in casts for name in names})
        found = []
        for number, names in enumerate(casts):
            players: Cast = {name: everybody[name][: given.times] for name in names if name in everybody}
            plan = schedule(players, given.seed + number)
            followed = cinema.follow(render(players, plan, Path(folder) / "film.mp4"), plan)
            found.append(count(followed, join_unknown(followed.tracks, threshold)))
    show(found)


def show(found: Sequence[Counted]) -> None:
    """Print the table."""
    table = Table(title=f"{len(found)} films")
    names = ("people", "tracks", "identities", "wrong_pairs", "splits")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for each in found:
        table.add_row(*(str(getattr(each, name)) for name in names))
    table.add_section()
    table.add_row(*(str(sum(getattr(each, name) for each in found)) for name in names))
    Console().print(table)


if __name__ == "__main__":
    main()
