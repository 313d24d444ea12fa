"""`python -m cluster.bench.redact_people TESTDATA`: how often `keep` and `only` show whom they should hide.

Films of eight people each, from photos of LFW (TESTDATA/training/lfw_pairs.zip, which this project does not
bring along): each face drifts, comes nearer, and is dimmed, in frames as a camera compresses them. A library
knows some of the people from two other photos each. Everything from the detector to the choice of what stays
visible is what the service does, with its default thresholds. It prints people and face frames that were
shown though they should be hidden, and the other way round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import zipfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from app.tasks.mask_requests import CONFIDENCE, SMALLEST_FACE
from cluster.bench.redact import store
from models.detectors import load_detector
from models.embedder import load_embedder
from models.manifest import load_manifest
from models.session import RuntimeOptions
from pipelines.analyze_image import ImageAnalyzer
from pipelines.embed_faces import CropEmbedder
from pipelines.lane import HereLane, InlineDetector
from pipelines.read_attributes import InlineCropNetworks
from pipelines.redact.choose import MAY_BE, Candidates, Chosen
from pipelines.redact.cover import CoverOptions, cover, without
from pipelines.redact.find import FAINT, find_faces, look_of, read_found
from pipelines.results import DetectOptions
from pipelines.template import template_of
from pipelines.video.analyze_chunk import ChunkAnalyzer, FrameOptions
from pipelines.video.decode import SampledFrame

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from pipelines.redact.animation import EveryPicture
    from pipelines.redact.cover import FoundFrame, Region, Sighting
    from pipelines.redact.write import Box
    from pipelines.similarity import Calibration

    Pixels = NDArray[np.uint8]

#: A film: frames a second, frames, columns and rows of people, and pixels of each one's place.
RATE, FRAMES, COLUMNS, ROWS, PLACE = 12, 24, 4, 2, 180
SIZE = (COLUMNS * PLACE, ROWS * PLACE)
#: Photos by which somebody of the library is known; enrolled people in each film; people for each look.
REFERENCES, STAFF_IN_FILM, LIKELY = 2, 3, 10
QUALITY = 70
#: Of a photo's side: how far from its middle the face may be, and how wide it is at least.
_MIDDLE, _WIDE = 0.15, 0.22


@dataclass(frozen=True, slots=True)
class Stage:
    """Frames of people at their places.

    Attributes:
        photos: of each place.
        seed: of how they move.
        looks: thumbnails of the frames that were given.
        drawn: where each person's photo is, by frame: left, top and side.
    """

    photos: Sequence[Pixels]
    seed: int
    looks: dict[int, bytes] = field(default_factory=dict)
    drawn: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the frames."""
        return SIZE

    def decoded(self, size: tuple[int, int] | None) -> Iterator[SampledFrame]:
        """Yield the frames; the numbers of frames are their times."""
        rng = np.random.default_rng(self.seed)
        ways = rng.uniform(0, 2 * np.pi, (len(self.photos), 4))
        for index in range(FRAMES):
            picture = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
            self.drawn[index] = []
            for number, photo in enumerate(self.photos):
                across, down, nearer, dim = np.sin(ways[number] + index / FRAMES * np.pi)
                side = int(PLACE * (0.86 + 0.1 * nearer))
                small = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
                small = cv2.convertScaleAbs(small, alpha=0.85 + 0.15 * dim)
                room = PLACE - side
                left = number % COLUMNS * PLACE + int(room * (0.5 + 0.45 * across))
                top = number // COLUMNS * PLACE + int(room * (0.5 + 0.45 * down))
                picture[top : top + side, left : left + side] = small
                self.drawn[index].append((left, top, side))
            data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
            pixels = cast("Pixels", cv2.imdecode(data, cv2.IMREAD_COLOR))
            self.looks[index] = look_of(pixels)
            scaled = pixels if size is None else cast("Pixels", cv2.resize(pixels, size))
            yield SampledFrame(float(index), scaled)

    def faces(self, frame: FoundFrame) -> Iterator[tuple[int, Box]]:
        """Yield each person's face by number: it is in the middle of LFW's photos; others stand behind."""
        best: dict[int, Sighting] = {}
        for face in frame.faces:
            number = self._shows(frame.index, face.box)
            if number is not None and (number not in best or face.confidence > best[number].confidence):
                best[number] = face
        yield from ((number, face.box) for number, face in best.items() if face.confidence >= CONFIDENCE)

    def _shows(self, index: int, box: Box) -> int | None:
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        for number, (left, top, side) in enumerate(self.drawn[index]):
            away = max(abs(x - left - side / 2), abs(y - top - side / 2))
            if away < _MIDDLE * side and box[2] - box[0] > _WIDE * side:
                return number
        return None


@dataclass(frozen=True, slots=True)
class Known:
    """A library: people and their vectors."""

    people: Sequence[str]
    vectors: NDArray[np.float32]
    calibration: Calibration

    def scores(self, vectors: NDArray[np.float32]) -> list[Mapping[str, float]]:
        """Return who each vector may be, as `app.tasks.mask_people` asks a library."""
        found: list[Mapping[str, float]] = []
        for row in vectors @ self.vectors.T:
            likely = np.argsort(-row)[:LIKELY]
            rated = {self.people[at]: self.calibration.score(float(row[at])) for at in likely}
            found.append({person: score for person, score in rated.items() if score >= MAY_BE})
        return found


class Networks:
    """The detector and the embedder, in this process."""

    def __init__(self) -> None:
        manifest, cpu, lane = load_manifest(), RuntimeOptions(device="cpu", threads=1), HereLane()
        detector = load_detector(manifest["yunet"], store().path(manifest["yunet"]), cpu)
        sface = load_embedder(manifest["sface"], store().path(manifest["sface"]), cpu)
        embedder = CropEmbedder(InlineCropNetworks([sface], lane), "sface", lane)
        detect = InlineDetector(detector, lane)
        self.chunks = ChunkAnalyzer(detect, lane, embedder=embedder)
        self.pictures = ImageAnalyzer({"it": detect}, "it", lane, embedder=embedder)
        self.calibration = manifest["sface"].calibrations["plain"]

    def found(self, stage: Stage) -> list[FoundFrame]:
        """Return the faces of a film, with vectors of some, as a mask task finds them."""
        options = FrameOptions(CONFIDENCE * FAINT, SMALLEST_FACE, embed=True, tick_s=1 / RATE)
        return read_found(asyncio.run(find_faces(self.chunks, cast("EveryPicture", stage), options)), int)

    def template(self, photos: Sequence[bytes]) -> NDArray[np.float32] | None:
        """Return the vector by which a library would know somebody."""
        vectors, qualities = [], []
        for photo in photos:
            found = asyncio.run(self.pictures.detect(photo, DetectOptions(embed=True, max_faces=1))).embedded
            if found is not None and len(found.vectors):
                vectors.append(found.vectors[0])
                qualities.append(float(found.qualities[0]))
        return template_of(np.stack(vectors), np.array(qualities)) if len(vectors) == REFERENCES else None


def photos_of(archive: zipfile.ZipFile) -> dict[str, list[str]]:
    """Return the photos' names by person."""
    photos: dict[str, list[str]] = defaultdict(list)
    for name in sorted(archive.namelist()):
        if name.endswith(".jpg"):
            photos[name.split("/")[-2]].append(name)
    return photos


def measure(testdata: Path, films: int, enrolled: int) -> dict[str, Counter[str]]:
    """Return the counts of both choices."""
    rng, networks = np.random.default_rng(0), Networks()
    counts = {"keep": Counter[str](), "only": Counter[str]()}
    with zipfile.ZipFile(testdata / "training" / "lfw_pairs.zip") as archive:
        photos = photos_of(archive)
        many = [person for person, names in photos.items() if len(names) > REFERENCES]
        staff: dict[str, NDArray[np.float32]] = {}
        for person in rng.permutation(many).tolist():
            if len(staff) == enrolled:
                break
            template = networks.template([archive.read(name) for name in photos[person][:REFERENCES]])
            if template is not None:
                staff[person] = template
        known = Known(list(staff), np.stack(list(staff.values())), networks.calibration)
        strangers = rng.permutation([person for person in photos if person not in staff]).tolist()
        for number in range(films):
            ours = rng.choice(known.people, STAFF_IN_FILM, replace=False).tolist()
            people = ours + [strangers.pop() for _ in range(COLUMNS * ROWS - STAFF_IN_FILM)]
            names = [
                str(rng.choice(photos[person][REFERENCES:])) if person in staff else photos[person][0]
                for person in people
            ]
            shown = [cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), 1) for name in names]
            stage = Stage(cast("list[Pixels]", shown), number)
            _count(counts, stage, networks.found(stage), people, known)
    return counts


def _count(
    counts: dict[str, Counter[str]],
    stage: Stage,
    found: list[FoundFrame],
    people: Sequence[str],
    known: Known,
) -> None:
    """Add what both choices do to one film."""
    times = [index / RATE for index in range(FRAMES)]
    options = CoverOptions(CONFIDENCE, 0, FRAMES - 1)
    candidates = Candidates(found, times, options)
    scores = known.scores(candidates.vectors)
    for choice, chosen in (("keep", known.people), ("only", people[:1])):
        visible = candidates.shown(scores, Chosen(frozenset(chosen), stay=choice == "keep"))
        hidden = cover(without(found, visible), times, options)
        frames = {True: Counter[str](), False: Counter[str]()}
        for frame in found:
            for number, box in stage.faces(frame):
                is_hidden = _is_hidden(box, hidden.regions.get(frame.index, ()))
                frames[not is_hidden][people[number]] += 1
        for person in people:
            stays = (person in chosen) == (choice == "keep")
            right, wrong = frames[stays][person], frames[not stays][person]
            group = "stays" if stays else "goes"
            counts[choice].update(
                {
                    f"{group} people": 1,
                    f"{group} people wrong": bool(wrong),
                    f"{group} frames": right + wrong,
                    f"{group} frames wrong": wrong,
                }
            )


def _is_hidden(box: Box, regions: Sequence[Region]) -> bool:
    """Tell whether the middle of a face lies within what is hidden, before any padding."""
    x1, y1, x2, y2 = box
    inset_x, inset_y = (x2 - x1) / 5, (y2 - y1) / 5
    return any(
        each.box[0] <= x1 + inset_x
        and each.box[1] <= y1 + inset_y
        and each.box[2] >= x2 - inset_x
        and each.box[3] >= y2 - inset_y
        for each in regions
    )


def main() -> None:
    """Print a table, and write it as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("testdata", type=Path)
    parser.add_argument("--films", type=int, default=60)
    parser.add_argument("--enrolled", type=int, default=50)
    arguments = parser.parse_args()
    counts = measure(arguments.testdata, arguments.films, arguments.enrolled)
    table = Table("", "who", "people", "of them wrong in a frame", "face frames", "of them wrong")
    for choice, each in counts.items():
        for group, words in (("goes", "to be hidden, shown"), ("stays", "to be shown, hidden")):
            wrong, frames = each[f"{group} frames wrong"], each[f"{group} frames"]
            share = f"{wrong} ({wrong / max(1, frames):.2%})"
            row = (str(each[f"{group} people"]), str(each[f"{group} people wrong"]), str(frames), share)
            table.add_row(choice, words, *row)
    Console().print(table)
    Path("bench").mkdir(exist_ok=True)
    Path("bench/redact_people.json").write_text(json.dumps(counts, indent=2))


if __name__ == "__main__":
    main()
