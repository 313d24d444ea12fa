"""`python -m cluster.bench.attributes`: how right and how fast the networks are that read faces.

Accuracy is measured on labelled pictures in the folder that `FACEFLEET_TESTDATA` names, where there are
some (`cluster.bench.attribute_accuracy`). Poses are rendered, from the portrait that tests use too. Speed is
a ratio to SCRFD-2.5G on a 640 x 640 canvas in the same run, where `FACE_API_MODELS_DIR` or the folder of
weights has it. What needs training again, such as masks learned from one source and tested on another, has
figures in `docs/model-cards`. No labelled ages are at hand, so age is not measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import numpy as np
from rich.console import Console
from rich.table import Table

from cluster.bench import attribute_accuracy as accuracy
from cluster.bench.reference_exports import references
from models.attribute_networks import load_attribute_network
from models.detectors import example_canvas, load_detector
from models.listening import Silent
from models.local import find_local
from models.manifest import load_manifest
from models.session import RuntimeOptions
from models.store import Store
from pipelines.analyze_image import ImageAnalyzer
from pipelines.attributes import Attribute
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.read_attributes import FaceReader, InlineCropNetworks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipelines.ports import DetectorNetwork

P = ParamSpec("P")

NAMES = ("facemesh", "age", "gender", "emotion", "glasses", "mask")
CPU = RuntimeOptions(device="cpu", threads=1)
ALL = frozenset(Attribute)
#: The most that all attributes of one face may take, as a share of SCRFD-2.5G.
BAR = 0.7
BATCH = 16
ROUNDS = 25
#: One crop alone must not be faster than in a batch.
BATCH_BAR = 1.0


def looking_with(store: Store, lane: ThreadLane) -> accuracy.Looking:
    """Return the networks as they are served in one process, on one thread."""
    manifest = load_manifest()
    networks = {
        name: load_attribute_network(manifest[name], store.path(manifest[name]), CPU) for name in NAMES
    }
    reader = FaceReader(InlineCropNetworks(list(networks.values()), lane), lane)
    yunet = load_detector(manifest["yunet"], store.path(manifest["yunet"]), CPU)
    analyzer = ImageAnalyzer({"yunet": InlineDetector(yunet, lane)}, "yunet", lane, reader=reader)
    return accuracy.Looking(analyzer, reader, networks)


def speeds(looking: accuracy.Looking, scrfd: DetectorNetwork | None) -> dict[str, str]:
    """Return the milliseconds of all attributes on one face, and of the detector, taken in turns."""
    photo = accuracy.portrait_pixels()
    faces = looking.portrait().faces
    canvas = example_canvas((640, 640))

    def read() -> None:
        asyncio.run(looking.reader.read(photo, faces, ALL))

    def find() -> None:
        if scrfd is not None:
            scrfd.propose([canvas], [0.5])

    taken: dict[str, list[float]] = {"attributes": [], "scrfd": []}
    for _ in range(ROUNDS):
        taken["attributes"].append(_ms(read))
        taken["scrfd"].append(_ms(find))
    found = {"all attributes, one face, ms": f"{statistics.median(taken['attributes']):.1f}"}
    if scrfd is not None:
        found["scrfd_2.5g, 640 x 640, ms"] = f"{statistics.median(taken['scrfd']):.1f}"
        ratios = [one / other for one, other in zip(taken["attributes"], taken["scrfd"], strict=True)]
        found[f"ratio (at most {BAR})"] = f"{statistics.median(ratios):.2f}"
    return found


def batches(looking: accuracy.Looking) -> dict[str, str]:
    """Return how long a face takes in a batch of 16, as a share of one alone, by network."""
    found = {}
    for network in looking.networks.values():
        width, height = network.spec.crops[0].size
        crops = np.random.default_rng(0).integers(0, 256, (BATCH, height, width, 3), np.uint8)
        singles = [crops[at : at + 1] for at in range(BATCH)]
        for warming in (crops, crops, *singles[:2]):
            network.answer(warming)
        ratios = []
        for _ in range(ROUNDS):
            alone = sum(_ms(network.answer, single) for single in singles)
            ratios.append(_ms(network.answer, crops) / alone)
        found[f"{network.spec.name} (at most {BATCH_BAR})"] = f"{statistics.median(ratios):.3f}"
    return found


def _ms(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> float:
    begun = time.perf_counter()
    work(*args, **kwargs)
    return (time.perf_counter() - begun) * 1e3


def _scrfd(store: Store) -> DetectorNetwork | None:
    network = load_manifest()["scrfd_2.5g"]
    folder = os.environ.get("FACE_API_MODELS_DIR")
    file = find_local(network, Path(folder), Silent()) if folder else store.path(network)
    return load_detector(network, file, CPU) if file is not None and file.is_file() else None


def measured(looking: accuracy.Looking, testdata: Path, downloads: Path) -> dict[str, Mapping[str, str]]:
    """Return every table of accuracy for which there is data."""
    found: dict[str, Mapping[str, str]] = {
        "pose: a portrait rendered at -40..40 degrees": accuracy.poses_of_the_portrait(looking)
    }
    if testdata.is_dir():
        found |= {
            "pose: people of LFW rendered at -40..40 degrees": accuracy.poses_of_people(looking, testdata),
            "gender: LFW, one photo each, by first names": accuracy.genders(looking, testdata),
            "emotion: 23 acted photos": accuracy.emotions(looking, testdata),
            "glasses: people of LFW held out of training": accuracy.glasses(looking, testdata),
            "mask: photos of masked crowds, and people of LFW held out": accuracy.masks(looking, testdata),
            "conversion: largest difference to others' answers, of their range": references(
                looking.networks, looking.portrait().faces, downloads, testdata
            ),
        }
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print tables and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path(".cache/models"), help="folder of weights")
    parser.add_argument("--out", type=Path, default=Path("bench/attributes.json"))
    parser.add_argument("--only", choices=("accuracy", "speed"), help="leave the other out")
    options = parser.parse_args(arguments)
    store = Store(options.weights)
    store.pull(*load_manifest().pack("default"))
    testdata = Path(os.environ.get("FACEFLEET_TESTDATA", "../shared/testdata"))
    taken: dict[str, Mapping[str, str]] = {}
    with ThreadLane(1) as lane:
        looking = looking_with(store, lane)
        if options.only != "speed":
            taken |= measured(looking, testdata, options.weights / "downloads")
        if options.only != "accuracy":
            taken["speed: one thread"] = speeds(looking, _scrfd(store))
            taken["batch of 16: time of a face against one alone"] = batches(looking)
    console = Console()
    for title, rows in taken.items():
        table = Table(title=title, title_justify="left", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for name, value in rows.items():
            table.add_row(name, value)
        console.print(table)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(taken, indent=2))


if __name__ == "__main__":
    main()
