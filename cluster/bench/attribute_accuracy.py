"""How right the networks are that read faces, on labelled pictures; see `cluster.bench.attributes`.

Shares have 95 % Wilson intervals. Means over several people, and balanced accuracies, have 95 % bootstrap
intervals over whole people, because pictures of one person err alike.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import zipfile
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cluster.bench.labels import ACTED, FEMALE_NAMES, MALE_NAMES
from cluster.bench.pictures import portrait
from cluster.bench.turned_faces import Solid, mesh_of, rotation, solid_of, turned
from models.training.figures import figures, wilson
from pipelines.attributes import Attribute, FaceAttributes, Gender, Pose
from pipelines.faces import Faces
from pipelines.results import DetectOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pipelines.analyze_image import ImageAnalyzer
    from pipelines.ports import CropNetwork
    from pipelines.read_attributes import FaceReader
    from pipelines.results import Detection

    Pixels = NDArray[np.uint8]

TURNS = tuple(range(-40, 41, 10))
ANGLES = ("yaw", "pitch", "roll")
#: People of LFW whose faces are turned; those who look into the camera, by a hash of their names.
TURNED_PEOPLE = 20
FRONTAL_DEGREES = 6.0
#: How far off a pose may be.
NEAR_DEGREES = 5.0
HELD_OUT = 0.2
#: Photos of crowds in which everybody wears a mask, and how wide a face there must be.
CROWDS = ("ulfg_img2.jpeg", "ulfg_img6.webp", "ulfg_img7.webp")
CROWD_FACE = 40


@dataclass(frozen=True)
class Looking:
    """What looks at pictures here: the detector and the reader as they are served, and the networks."""

    analyzer: ImageAnalyzer
    reader: FaceReader
    networks: dict[str, CropNetwork]

    def look(self, pixels: Pixels, *wanted: Attribute, max_faces: int = 1) -> Detection:
        """Find the faces of a picture and read them."""
        options = DetectOptions(0.6, max_faces=max_faces, attributes=frozenset(wanted))
        return asyncio.run(self.analyzer.detect(cv2.imencode(".png", pixels)[1].tobytes(), options))

    def portrait(self) -> Detection:
        """Find the face of the portrait."""
        return self.look(portrait_pixels())

    def read(self, pixels: Pixels, faces: Faces, wanted: Attribute) -> FaceAttributes:
        """Read one face that is known."""
        return asyncio.run(self.reader.read(pixels, faces, {wanted}))[0]


@dataclass(frozen=True)
class Photo:
    """A photo of LFW and the face in it."""

    name: str
    pixels: Pixels
    face: Faces

    @property
    def person(self) -> str:
        """Return who it shows."""
        return _person(self.name)


def portrait_pixels() -> Pixels:
    """Return the portrait that tests use too."""
    return np.asarray(cv2.imdecode(np.frombuffer(portrait(), np.uint8), 1), np.uint8)


def share(right: int, count: int) -> str:
    """Return a share with its interval."""
    low, high = wilson(right, count)
    return f"{right / max(count, 1):.3f} [{low:.3f}, {high:.3f}], {right} of {count}"


def genders(looking: Looking, testdata: Path) -> dict[str, str]:
    """Return how often the gender of LFW people is what their first name says, one photo each."""
    told: dict[bool, list[bool]] = {True: [], False: []}
    people = 0
    for photo in _lfw(testdata, _one_each(lambda person: person.split("_")[0] in FEMALE_NAMES | MALE_NAMES)):
        people += 1
        female = photo.person.split("_")[0] in FEMALE_NAMES
        gender = looking.read(photo.pixels, photo.face, Attribute.GENDER).gender
        if gender is not None:
            told[female].append(gender is (Gender.FEMALE if female else Gender.MALE))
    both = told[True] + told[False]
    return {
        "told at all": share(len(both), people),
        "right where told (at least 0.96)": share(sum(both), len(both)),
        "of these women": share(sum(told[True]), len(told[True])),
        "of these men": share(sum(told[False]), len(told[False])),
    }


def emotions(looking: Looking, testdata: Path) -> dict[str, str]:
    """Return how often an acted emotion is one of those that a person saw in the photo."""
    right = 0
    for name, labels in ACTED.items():
        pixels = cv2.imread(str(testdata / "media" / "emotion" / name))
        found = looking.look(np.asarray(pixels, np.uint8), Attribute.EMOTION).attributes
        emotion = found[0].emotion if found else None
        right += emotion is not None and emotion.value in labels
    return {"one that a person accepts": share(right, len(ACTED))}


def glasses(looking: Looking, testdata: Path) -> dict[str, str]:
    """Return how right glasses are on the people of LFW who were held out of training."""
    file = resources.files("models.training").joinpath("labels/glasses.csv").read_text("utf-8")
    labels = {row["file"]: row["label"] for row in csv.DictReader(io.StringIO(file))}
    found, truth, people = [], [], []
    for photo in _lfw(testdata, lambda name: _is_held_out(name) and labels.get(name) != "unclear"):
        found.append(looking.read(photo.pixels, photo.face, Attribute.GLASSES).glasses)
        truth.append(labels.get(photo.name) == "1")
        people.append(photo.person)
    judged = figures(np.array(found, np.float64), np.array(truth, np.int64), people, 0.5)
    low, high = judged.balanced_interval
    return {
        "balanced accuracy (at least 0.95)": f"{judged.balanced:.3f} [{low:.3f}, {high:.3f}]",
        "wearers found": share(round(judged.recall_wearing * judged.wearing), judged.wearing),
        "bare faces found": share(round(judged.recall_bare * judged.bare), judged.bare),
    }


def masks(looking: Looking, testdata: Path) -> dict[str, str]:
    """Return how right masks are on crowds that nothing was trained on, and on people held out."""
    crowd: list[bool | None] = []
    for name in CROWDS:
        pixels = np.asarray(cv2.imread(str(testdata / "media" / "masked" / name)), np.uint8)
        found = looking.look(pixels, Attribute.MASK, max_faces=0)
        wide = found.faces.boxes[:, 2] - found.faces.boxes[:, 0] >= CROWD_FACE
        crowd += [face.mask for face, ok in zip(found.attributes or (), wide, strict=True) if ok]
    bare = [
        looking.read(photo.pixels, photo.face, Attribute.MASK).mask is False
        for photo in _lfw(testdata, _is_held_out)
    ]
    return {
        "masked crowds called masked (at least 0.9)": share(sum(map(bool, crowd)), len(crowd)),
        "LFW held out called bare": share(sum(bare), len(bare)),
    }


def poses_of_the_portrait(looking: Looking) -> dict[str, str]:
    """Return the errors of each angle over rendered turns of the portrait, in degrees."""
    return _summary([_errors(looking, portrait_pixels(), looking.portrait().faces)])


def poses_of_people(looking: Looking, testdata: Path) -> dict[str, str]:
    """Return the same for people of LFW."""
    frontal = [
        photo
        for photo in _lfw(testdata, _one_each(lambda _person: True), by_hash=True)
        if _is_frontal(looking.read(photo.pixels, photo.face, Attribute.POSE).pose)
    ]
    return _summary([_errors(looking, photo.pixels, photo.face) for photo in frontal[:TURNED_PEOPLE]])


def _errors(looking: Looking, pixels: Pixels, face: Faces) -> NDArray[np.float64]:
    """Return how far off each told angle is, [angle turned, turn, angle told].

    No face is quite frontal: what counts is how far the answer moves.
    """
    solid = solid_of(pixels, mesh_of(looking.networks["facemesh"], pixels, face.boxes, _points(face)))
    straight = _told(looking, solid, 0, 0, 0)
    errors = np.zeros((3, len(TURNS), 3))
    for place in range(3):
        for column, turn in enumerate(TURNS):
            angles = [turn if place == other else 0 for other in range(3)]
            errors[place, column] = np.abs(_told(looking, solid, *angles) - straight - angles)
    return errors


def _told(looking: Looking, solid: Solid, *angles: float) -> NDArray[np.float64]:
    found = looking.look(turned(solid, rotation(*angles)), Attribute.POSE).attributes
    pose = found[0].pose if found else None
    # A face that is not found is as wrong as can be.
    return np.full(3, 180.0) if pose is None else np.array([pose.yaw, pose.pitch, pose.roll])


def _summary(people: Sequence[NDArray[np.float64]]) -> dict[str, str]:
    errors = np.stack(people)
    found = {}
    for place, name in enumerate(ANGLES):
        own = errors[:, place, :, place][:, np.array(TURNS) != 0]
        drawn = np.random.default_rng(0).integers(0, len(own), (2000, len(own)))
        low, high = np.percentile(own.mean(axis=1)[drawn].mean(axis=1), [2.5, 97.5])
        interval = f" [{low:.1f}, {high:.1f}]" if len(own) > 1 else ""
        within = int((own <= NEAR_DEGREES).sum())
        found[name] = (
            f"mean {own.mean():.1f}{interval}, worst {own.max():.1f}, within {NEAR_DEGREES:.0f}: "
            f"{share(within, own.size)}"
        )
    aside = [errors[:, place, :, other] for place in range(3) for other in range(3) if place != other]
    found["the two angles that were not turned"] = f"mean {np.mean(aside):.1f}"
    found["faces, turns"] = f"{len(errors)}, {errors[:, :, :, 0].size}"
    return found


def _lfw(testdata: Path, wanted: Callable[[str], bool], *, by_hash: bool = False) -> Iterator[Photo]:
    """Read the photos of LFW whose names are wanted, in order of their names or by a hash of these."""
    with zipfile.ZipFile(testdata / "training" / "lfw_pairs.zip") as photos:
        rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(photos.read("points.csv").decode())))
        if by_hash:
            rows = sorted(rows, key=lambda row: _hash(row["name"]))[: 14 * TURNED_PEOPLE]
        for row in rows:
            if not wanted(row["name"]):
                continue
            data = np.frombuffer(photos.read(f"images/{row['name']}"), np.uint8)
            values = np.array([float(row[name]) for name in list(row)[1:]], np.float32)
            face = Faces(values[None, 1:5], values[:1], values[5:].reshape(1, 5, 2))
            yield Photo(row["name"], np.asarray(cv2.imdecode(data, 1), np.uint8), face)


def _one_each(wanted: Callable[[str], bool]) -> Callable[[str], bool]:
    """Return a filter that lets the first photo of each wanted person through."""
    seen: set[str] = set()

    def is_first(name: str) -> bool:
        person = _person(name)
        if person in seen or not wanted(person):
            return False
        seen.add(person)
        return True

    return is_first


def _is_held_out(name: str) -> bool:
    """Tell whether the person was held out of training, as `models.training.samples.held_out` does."""
    return _hash(_person(name)) < HELD_OUT * 2**32


def _person(name: str) -> str:
    return name.partition("/")[0]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _is_frontal(pose: Pose | None) -> bool:
    return pose is not None and max(abs(pose.yaw), abs(pose.pitch), abs(pose.roll)) <= FRONTAL_DEGREES


def _points(faces: Faces) -> NDArray[np.float32]:
    if faces.points is None:
        message = "a detector that gives five points is needed here"
        raise ValueError(message)
    return faces.points
