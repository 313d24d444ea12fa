"""`python -m cluster.bench.attributes`: how right and how fast the networks are that read faces.

Accuracy is measured on labelled pictures in the folder that `FACEFLEET_TESTDATA` names, where there are
some: LFW photos by their people's first names, acted emotions by what one person saw in them. Poses are
rendered from the portrait that tests use. Speed is a ratio to SCRFD-2.5G on a 640 x 640 canvas in the same
run, where `FACE_API_MODELS_DIR` has its weights. Mask and glasses have figures in `docs/model-cards`.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import json
import os
import statistics
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from cluster.bench.labels import ACTED, FEMALE_NAMES, MALE_NAMES
from cluster.bench.pictures import portrait
from cluster.bench.turned_faces import rotation, solid_of, turned
from models.attribute_networks import load_attribute_network
from models.detectors import example_canvas, load_detector
from models.listening import Silent
from models.local import find_local
from models.manifest import load_manifest
from models.session import RuntimeOptions
from models.store import Store
from pipelines.analyze_image import ImageAnalyzer
from pipelines.attributes import Attribute, Gender
from pipelines.crops import draw_crops, into_picture, placements, scale_of
from pipelines.faces import Faces
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.read_attributes import FaceReader, InlineCropNetworks
from pipelines.results import DetectOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from pipelines.ports import CropNetwork, DetectorNetwork

P = ParamSpec("P")

NAMES = ("facemesh", "age", "gender", "emotion", "glasses", "mask")
CPU = RuntimeOptions(device="cpu", threads=1)
ALL = frozenset(Attribute)
#: The most that all attributes of one face may take, as a share of SCRFD-2.5G.
BAR = 0.7
BATCH = 16
ROUNDS = 25
TURNS = tuple(range(-40, 41, 10))


class Bench:
    """The networks as they are served in one process, on one thread."""

    def __init__(self, store: Store, lane: ThreadLane) -> None:
        manifest = load_manifest()
        self.networks: list[CropNetwork] = [
            load_attribute_network(manifest[name], store.path(manifest[name]), CPU) for name in NAMES
        ]
        self.reader = FaceReader(InlineCropNetworks(self.networks, lane), lane)
        yunet = load_detector(manifest["yunet"], store.path(manifest["yunet"]), CPU)
        self.analyzer = ImageAnalyzer(
            {"yunet": InlineDetector(yunet, lane)}, "yunet", lane, reader=self.reader
        )

    def look(self, data: bytes, *wanted: Attribute, max_faces: int = 1) -> Any:  # noqa: ANN401 - a Detection
        """Find the faces of a picture and read them."""
        options = DetectOptions(0.6, max_faces=max_faces, attributes=frozenset(wanted))
        return asyncio.run(self.analyzer.detect(data, options))


def genders(bench: Bench, testdata: Path) -> dict[str, float]:
    """Return how often the gender of LFW people is what their first name says, one photo each."""
    told, right, count = 0, 0, 0
    with zipfile.ZipFile(testdata / "training" / "lfw_pairs.zip") as photos:
        for row, female in _people(photos):
            pixels = cv2.imdecode(np.frombuffer(photos.read(f"images/{row['name']}"), np.uint8), 1)
            values = [float(row[name]) for name in list(row)[1:]]
            faces = Faces(
                np.array([values[1:5]], np.float32),
                np.array([values[0]], np.float32),
                np.array(values[5:], np.float32).reshape(1, 5, 2),
            )
            read = bench.reader.read(np.asarray(pixels, np.uint8), faces, {Attribute.GENDER})
            (face,) = asyncio.run(read)
            count += 1
            told += face.gender is not None
            right += face.gender is (Gender.FEMALE if female else Gender.MALE)
    return {"people": count, "told": told / count, "right where told": right / told}


def _people(photos: zipfile.ZipFile) -> Iterator[tuple[dict[str, str], bool]]:
    seen = set()
    for row in csv.DictReader(io.StringIO(photos.read("points.csv").decode())):
        person = row["name"].split("/")[0]
        first = person.split("_")[0]
        if person not in seen and (first in FEMALE_NAMES or first in MALE_NAMES):
            seen.add(person)
            yield row, first in FEMALE_NAMES


def emotions(bench: Bench, testdata: Path) -> dict[str, float]:
    """Return how often an acted emotion is one of those that a person saw in the photo."""
    right = [
        _first(bench, testdata / "media" / "emotion" / name, Attribute.EMOTION).emotion.value in labels
        for name, labels in ACTED.items()
    ]
    return {"photos": len(right), "right": sum(right) / len(right)}


def _first(bench: Bench, photo: Path, attribute: Attribute) -> Any:  # noqa: ANN401 - FaceAttributes
    return bench.look(photo.read_bytes(), attribute).attributes[0]


def poses(bench: Bench) -> dict[str, float]:
    """Return the mean and the largest error of each angle over rendered turns, in degrees."""
    photo = np.asarray(cv2.imdecode(np.frombuffer(portrait(), np.uint8), 1), np.uint8)
    solid = solid_of(photo, _mesh(bench, photo))

    def seen(*angles: float) -> NDArray[np.float64]:
        data = cv2.imencode(".png", turned(solid, rotation(*angles)))[1].tobytes()
        pose = bench.look(data, Attribute.POSE).attributes[0].pose
        return np.array([pose.yaw, pose.pitch, pose.roll])

    # The portrait itself is not quite frontal: what counts is how far the answer moves.
    straight = seen(0, 0, 0)
    found: dict[str, float] = {}
    for index, name in enumerate(("yaw", "pitch", "roll")):
        angles = [[turn if place == index else 0 for place in range(3)] for turn in TURNS]
        moved = np.array([(seen(*angle) - straight)[index] for angle in angles])
        errors = np.abs(moved - np.array(TURNS))
        found |= {f"{name} mean": float(errors.mean()), f"{name} worst": float(errors.max())}
    return found


def _mesh(bench: Bench, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mesh of the photo's only face, in its pixels."""
    faces = bench.look(portrait()).faces
    mesh = bench.networks[0]
    matrices = placements(mesh.spec.crops[0], faces.boxes, faces.points)
    rows = mesh.answer(draw_crops(photo, matrices, mesh.spec.crops[0].size))
    points = rows[0, :-1].reshape(1, -1, 3)
    depth = points[0, :, 2:] / scale_of(matrices[0])
    return np.concatenate([into_picture(points[:, :, :2], matrices)[0], depth], axis=1).astype(np.float32)


def speeds(bench: Bench, scrfd: DetectorNetwork | None) -> dict[str, float]:
    """Return the milliseconds of all attributes on one face, and of the detector, taken in turns."""
    photo = np.asarray(cv2.imdecode(np.frombuffer(portrait(), np.uint8), 1), np.uint8)
    faces = bench.look(portrait()).faces
    canvas = example_canvas((640, 640))

    def read() -> None:
        asyncio.run(bench.reader.read(photo, faces, ALL))

    def find() -> None:
        if scrfd is not None:
            scrfd.propose([canvas], [0.5])

    taken: dict[str, list[float]] = {"attributes": [], "scrfd": []}
    for _ in range(ROUNDS):
        taken["attributes"].append(_ms(read))
        taken["scrfd"].append(_ms(find))
    found = {"all attributes, one face, ms": statistics.median(taken["attributes"])}
    if scrfd is not None:
        found["scrfd_2.5g, 640 x 640, ms"] = statistics.median(taken["scrfd"])
        ratios = [one / other for one, other in zip(taken["attributes"], taken["scrfd"], strict=True)]
        found[f"ratio (at most {BAR})"] = statistics.median(ratios)
    return found


def batches(bench: Bench) -> dict[str, float]:
    """Return how long a face takes in a batch of 16, as a share of one alone, by network."""
    found = {}
    for network in bench.networks:
        width, height = network.spec.crops[0].size
        crops = np.random.default_rng(0).integers(0, 256, (BATCH, height, width, 3), np.uint8)
        singles = [crops[at : at + 1] for at in range(BATCH)]
        for warming in (crops, crops, *singles[:2]):
            network.answer(warming)
        ratios = []
        for _ in range(ROUNDS):
            alone = sum(_ms(network.answer, single) for single in singles)
            ratios.append(_ms(network.answer, crops) / alone)
        found[network.spec.name] = statistics.median(ratios)
    return found


def _ms(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> float:
    begun = time.perf_counter()
    work(*args, **kwargs)
    return (time.perf_counter() - begun) * 1e3


def _scrfd() -> DetectorNetwork | None:
    folder = os.environ.get("FACE_API_MODELS_DIR")
    network = load_manifest()["scrfd_2.5g"]
    file = find_local(network, Path(folder), Silent()) if folder else None
    return None if file is None else load_detector(network, file, CPU)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print tables and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path(".cache/models"), help="folder of weights")
    parser.add_argument("--out", type=Path, default=Path("bench/attributes.json"))
    options = parser.parse_args(arguments)
    store = Store(options.weights)
    store.pull(*load_manifest().pack("default"))
    testdata = Path(os.environ.get("FACEFLEET_TESTDATA", "../shared/testdata"))
    taken: dict[str, dict[str, float]] = {}
    with ThreadLane(1) as lane:
        bench = Bench(store, lane)
        taken["poses: rendered turns of a portrait, degrees"] = poses(bench)
        if testdata.is_dir():
            taken["gender: LFW by first names"] = genders(bench, testdata)
            taken["emotion: acted photos"] = emotions(bench, testdata)
        taken["speed: one thread"] = speeds(bench, _scrfd())
        taken["batch of 16: time of a face against one alone"] = batches(bench)
    console = Console()
    for title, rows in taken.items():
        table = Table(title=title, title_justify="left")
        table.add_column("")
        table.add_column("", justify="right")
        for name, value in rows.items():
            table.add_row(name, f"{value:.4g}")
        console.print(table)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(taken, indent=2))


if __name__ == "__main__":
    main()
