"""Measuring an embedding network on pictures of known people: which cosine means what.

    pictures by person -> the face in the middle -> vectors -> every pair -> histograms -> Calibration

All pairs of the set are taken, so a few thousand pictures give millions of pairs of strangers; a list of some
thousand pairs could not tell one false answer in a thousand from two. Cosines are counted in bins, and a
threshold is a bin's upper edge: never easier to reach than what was measured.
"""

from __future__ import annotations

import asyncio
import json
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import numpy as np

from models.manifest import read_calibration
from pipelines.analyze_image import ImageAnalyzer
from pipelines.decode import decode_picture
from pipelines.embed_faces import embed_here
from pipelines.errors import CallerError, DependencyDown, InvalidOption
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.probe import probe_picture
from pipelines.results import DetectOptions
from pipelines.similarity import FALSE_ACCEPT_RATES, SAME_PERSON, SCORES, Calibration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from models.manifest import Network
    from pipelines.faces import Faces
    from pipelines.ports import CropNetwork, DetectorNetwork

_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
#: Cosines are counted in bins this wide.
_BIN: Final = 1e-4
_BINS: Final = round(2 / _BIN)
_FOLDS: Final = 10
#: Rows whose pairs are taken at a time.
_ROWS: Final = 512
#: Fewer pairs of strangers cannot show the rarest rate that is asked for.
FEWEST_IMPOSTORS: Final = round(10 / FALSE_ACCEPT_RATES[-1])


@dataclass(frozen=True, slots=True)
class PeopleVectors:
    """Vectors of one network, and whose face each is of."""

    vectors: NDArray[np.float32]
    people: NDArray[np.intp]


def calibration_of(network: Network, weights: Path, *, flip: bool) -> Calibration:
    """Return what a network's cosines mean: what was measured here, else what the manifest says.

    Raises:
        DependencyDown: nobody measured it.
    """
    kind = _kind(flip=flip)
    with suppress(FileNotFoundError):
        return read_calibration(json.loads(calibration_file(weights, flip=flip).read_text("utf-8")))
    found = network.calibrations.get(kind)
    if found is None:
        message = (
            f"nobody measured what the cosines of {network.name} mean; run: "
            f"facefleet models calibrate {network.name} --pictures FOLDER{' --flip' if flip else ''}"
        )
        raise DependencyDown(message)
    return found


def calibration_file(weights: Path, *, flip: bool) -> Path:
    """Return where the figures are that were measured on this machine."""
    return weights.with_name(f"{weights.name}.{_kind(flip=flip)}.calibration.json")


def _kind(*, flip: bool) -> str:
    return "flip" if flip else "plain"


def pictures_by_person(source: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each picture of a folder or a zip file with its person: the name of the folder it lies in."""
    if source.is_dir():
        for file in sorted(source.rglob("*")):
            if file.suffix.lower() in _SUFFIXES:
                yield file.parent.name, file.read_bytes()
        return
    with zipfile.ZipFile(source) as zipped:
        for name in sorted(zipped.namelist()):
            path = PurePosixPath(name)
            if path.suffix.lower() in _SUFFIXES:
                yield path.parent.name, zipped.read(name)


def embed_people(
    source: Path,
    detector: DetectorNetwork,
    network: CropNetwork,
    *,
    flip: bool = False,
    on_progress: Callable[[int], None] = lambda _count: None,
) -> PeopleVectors:
    """Return the vector of each picture's face; pictures without one are left out."""
    vectors, names = [], []
    with ThreadLane(1) as lane:
        analyzer = ImageAnalyzer({"it": InlineDetector(detector, lane)}, "it", lane)
        for name, data in pictures_by_person(source):
            try:
                detection = asyncio.run(analyzer.detect(data, DetectOptions()))
            except CallerError:
                continue
            if not len(detection.faces):
                continue
            size = (detection.image.width, detection.image.height)
            face = _in_the_middle(detection.faces, size)
            pixels = decode_picture(data, probe_picture(data), 1)
            vectors.append(embed_here(network, pixels, face, flip=flip).vectors[0])
            names.append(name)
            on_progress(len(names))
    if not vectors:
        message = f"{source} has no pictures of faces"
        raise InvalidOption(message)
    _, people = np.unique(names, return_inverse=True)
    return PeopleVectors(np.array(vectors, np.float32), people.astype(np.intp))


def measure(found: PeopleVectors, source: str) -> Calibration:
    """Return what all pairs of these vectors say of their network.

    Raises:
        InvalidOption: there are too few pictures to tell.
    """
    genuine, impostors = _histograms(found)
    pairs, strangers = int(genuine.sum()), int(impostors.sum())
    if strangers < FEWEST_IMPOSTORS or not pairs:
        message = (
            f"{strangers} pairs of strangers and {pairs} pairs of one person are too few to measure; "
            f"{FEWEST_IMPOSTORS} of strangers are needed: about 1,500 pictures"
        )
        raise InvalidOption(message)
    cosines = _edges(impostors.sum(axis=0))
    threshold = cosines[SCORES.index(SAME_PERSON)]
    return Calibration(
        cosines,
        accuracy=round(_accuracy(genuine, impostors), 4),
        tar=round(_reaching(genuine.sum(axis=0), threshold), 4),
        people=int(found.people.max()) + 1,
        genuine=pairs,
        impostors=strangers,
        source=source,
    )


def _histograms(found: PeopleVectors) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the cosines of all pairs of one person and of strangers, each int64 [folds, bins]."""
    genuine = np.zeros((_FOLDS, _BINS), np.int64)
    impostors = np.zeros((_FOLDS, _BINS), np.int64)
    folds = np.random.default_rng(0).integers(0, _FOLDS, found.people.max() + 1)[found.people]
    for start in range(0, len(found.vectors), _ROWS):
        rows = slice(start, start + _ROWS)
        cosines = found.vectors[rows] @ found.vectors[start:].T
        later = np.arange(len(found.vectors) - start)[None] > np.arange(len(cosines))[:, None]
        same = found.people[rows][:, None] == found.people[start:][None]
        bins = np.clip(((cosines + 1) / _BIN).astype(np.int64), 0, _BINS - 1)
        places = bins + folds[rows][:, None] * _BINS
        for counts, chosen in ((genuine, same & later), (impostors, ~same & later)):
            found_here = np.bincount(places[chosen], minlength=counts.size)
            np.add(counts, found_here.reshape(counts.shape), out=counts)
    return genuine, impostors


def _edges(impostors: NDArray[np.int64]) -> tuple[float, ...]:
    """Return the cosines that each rate of the strangers reaches at most."""
    beyond = np.append(np.cumsum(impostors[::-1])[::-1], 0) / impostors.sum()
    return tuple(round(float(np.argmax(beyond <= rate)) * _BIN - 1, 4) for rate in FALSE_ACCEPT_RATES)


def _reaching(counts: NDArray[np.int64], threshold: float) -> float:
    return float(counts[round((threshold + 1) / _BIN) :].sum() / counts.sum())


def _accuracy(genuine: NDArray[np.int64], impostors: NDArray[np.int64]) -> float:
    """Return how often same and different are told right, both counting alike, at the others' threshold."""
    told = []
    for fold in range(_FOLDS):
        rest = np.arange(_FOLDS) != fold
        best = int(np.argmax(_told_right(genuine[rest].sum(axis=0), impostors[rest].sum(axis=0))))
        told.append(_told_right(genuine[fold], impostors[fold])[best])
    return float(np.mean(told))


def _told_right(genuine: NDArray[np.int64], impostors: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of both rates of right answers, for a threshold at the lower edge of each bin."""
    accepted = np.cumsum(genuine[::-1])[::-1] / max(int(genuine.sum()), 1)
    refused = 1 - np.cumsum(impostors[::-1])[::-1] / max(int(impostors.sum()), 1)
    return np.asarray((accepted + refused) / 2, np.float64)


def _in_the_middle(faces: Faces, size: tuple[int, int]) -> Faces:
    """Return the face that the picture is of: large, and near its middle."""
    centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    away = np.linalg.norm(centres - np.array(size) / 2, axis=1)
    sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).max(axis=1)
    return faces.take(np.array([int(np.argmax(sides - away))]))
