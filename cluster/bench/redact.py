"""`python -m cluster.bench.redact --deface PATH`: faces left visible in masked films, and frames a second.

Three kinds of films, whose faces are known in every frame (`redact_films.py`): one face that moves much, in
each film in another way; a crowd; heads that turn to profiles. A face counts as exposed in a frame where
more than a fifth of its middle still shows what the source shows. `deface` is asked for the same films,
threshold and black boxes in the same run; who runs the bench installs it, anywhere:
`pip install deface onnxruntime`.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import multiprocessing
import os
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from app.settings import default_home
from cluster.bench.pictures import group_photo
from cluster.bench.redact_films import MIN_SIDE, crowd, moving, render, turning
from models.attribute_networks import load_attribute_network
from models.detectors import load_detector
from models.embedder import load_embedder
from models.manifest import load_manifest
from models.session import RuntimeOptions
from models.store import Store
from pipelines.boxes import grow
from pipelines.canvas import CanvasPool
from pipelines.embed_faces import embed_here
from pipelines.lane import HereLane, InlineDetector
from pipelines.looks import SMALL_SIDE, candidates_of, faces_of, lay_out, looks_at
from pipelines.redact.cover import cover
from pipelines.redact.find import FAINT, EveryFrame, find_faces, large_side, read_found
from pipelines.redact.join import join
from pipelines.redact.output import OutputOptions, decide
from pipelines.redact.plan import Span, frame_times, plan_redaction
from pipelines.redact.source import look_at
from pipelines.redact.write import WriteJob, write_chunk
from pipelines.results import MaskMethod, MaskOptions
from pipelines.video.analyze_chunk import ChunkAnalyzer, FrameOptions
from pipelines.video.probe import probe_video

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cluster.bench.redact_films import Box, Film
    from pipelines.faces import Faces
    from pipelines.ports import DetectorNetwork
    from pipelines.video.plan import Chunk
    from pipelines.video.probe import VideoInfo

    Pixels = NDArray[np.uint8]

FACE = Path(__file__).parents[1] / "assets" / "astronaut.jpg"
#: Cosine of two SFace vectors above which they are taken for one person.
SAME_PERSON = 0.363
WAYS = {MaskMethod.SOLID: "facefleet, black", MaskMethod.GAUSSIAN: "facefleet, default blur"}
DEFACE = "deface, black boxes"
KINDS = ["moving", "crowd", "profiles"]
#: A pixel that changed by less shows what the source shows; so much of a face's middle may.
UNCHANGED, MOST_SHOWN = 25, 0.2


@dataclass(frozen=True, slots=True)
class Figures:
    """What one way reaches with one kind of film."""

    kind: str
    name: str
    face_frames: int
    exposed: int
    frames: int
    took_s: float

    @property
    def frames_per_s(self) -> float:
        """Return how fast it is."""
        return round(self.frames / self.took_s, 1)


# --- ours -------------------------------------------------------------------------------------------------


@functools.cache
def _network(name: str) -> DetectorNetwork:
    network = load_manifest()[name]
    return load_detector(network, store().path(network), RuntimeOptions(device="cpu", threads=1))


def _warm(name: str) -> None:
    """Open the network, so that no film waits for it, as in a service that runs."""
    _network(name)
    time.sleep(0.5)  # the other processes take their share of the calls


def _find(path: Path, info: VideoInfo, chunk: Chunk, detector: str, threshold: float) -> bytes:
    cv2.setNumThreads(1)
    lane = HereLane()
    analyzer = ChunkAnalyzer(InlineDetector(_network(detector), lane), lane)
    frames = EveryFrame(path, info, chunk)
    smallest = MIN_SIDE / 2
    options = FrameOptions(threshold * FAINT, smallest, large_side=large_side(info.size, smallest))
    return asyncio.run(find_faces(analyzer, frames, options))


def _write(job: WriteJob, target: Path) -> int:
    cv2.setNumThreads(1)
    return write_chunk(job, target)


def redact(
    pool: ProcessPoolExecutor, path: Path, target: Path, mask: MaskOptions, detector: str, threshold: float
) -> None:
    """Mask a film as the service does, with processes for its workers."""
    probe = probe_video(path)
    output = decide(probe.info, look_at(path, probe), OutputOptions())
    plan = plan_redaction(probe, Span())
    finding = [pool.submit(_find, path, probe.info, chunk, detector, threshold) for chunk in plan.find]
    found = [frame for each in finding for frame in read_found(each.result(), probe.table.index_at)]
    covered = cover(found, frame_times(probe), plan.cover_options(threshold))
    writing, files = [], []
    for chunk in plan.write:
        boxes = {}
        for tick in (tick for group in chunk.groups or () for tick in group.wanted):
            regions = covered.regions.get(probe.table.index_at(tick), ())
            if regions:
                padded = grow(np.array([each.box for each in regions], np.float32), mask.padding)
                boxes[tick] = tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in padded.tolist())
        files.append(target.with_name(f"{target.name}-{chunk.index}"))
        writing.append(pool.submit(_write, WriteJob(path, probe.info, chunk, boxes, mask, output), files[-1]))
    for each in writing:
        each.result()
    join(path, probe.info, probe.table.end, output, files, target)


# --- figures ----------------------------------------------------------------------------------------------


def exposed(source: Path, masked: Path, known: list[list[Box]]) -> tuple[int, int]:
    """Return how many faces can still be seen, over all frames, and how many frames the film has."""
    count, frames = 0, 0
    with av.open(str(source)) as one, av.open(str(masked)) as two:
        for old, new, boxes in zip(one.decode(video=0), two.decode(video=0), known, strict=False):
            frames += 1
            before, after = (each.to_ndarray(format="bgr24") for each in (old, new))
            count += sum(_is_exposed(before, after, box) for box in boxes)
    return count, frames


def _is_exposed(before: Pixels, after: Pixels, box: Box) -> bool:
    x1, y1, x2, y2 = box
    inset_x, inset_y = (x2 - x1) // 5, (y2 - y1) // 5
    middle = np.s_[y1 + inset_y : y2 - inset_y, x1 + inset_x : x2 - inset_x]
    away = np.abs(before[middle].astype(np.int16) - after[middle]).max(axis=2)
    return bool((away < UNCHANGED).mean() > MOST_SHOWN)


def recognised(masked: Path, face: Pixels, detector: str) -> tuple[int, float]:
    """Return how many faces are found in every third frame, and the likest cosine among them."""
    network = load_manifest()["sface"]
    embedder = load_embedder(network, store().path(network), RuntimeOptions(device="cpu"))
    (own,) = embed_here(embedder, face, _faces_in(face, detector).take(np.array([0]))).vectors
    found, likest = 0, -1.0
    with av.open(str(masked)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % 3:
                continue
            pixels = frame.to_ndarray(format="bgr24")
            faces = _faces_in(pixels, detector)
            if len(faces):
                vectors = embed_here(embedder, pixels, faces).vectors
                found += len(faces)
                likest = max(likest, float((vectors @ own).max()))
    return found, likest


def _faces_in(pixels: Pixels, detector: str) -> Faces:
    network = _network(detector)
    looks = looks_at((pixels.shape[1], pixels.shape[0]), network.spec, SMALL_SIDE)
    canvases = lay_out(pixels, looks, CanvasPool())
    proposals = [network.propose([canvas], [0.5])[0] for canvas in canvases]
    return faces_of(candidates_of(proposals, looks), 0.4)


def films(kind: str, arguments: argparse.Namespace) -> Iterator[tuple[int, Film]]:
    """Yield the films of a kind, each with its seed."""
    portrait, detector, frames = _portrait(), arguments.detector, arguments.frames
    if kind == "moving":
        (box,) = _faces_in(portrait, detector).take(np.array([0])).boxes.tolist()
        for seed in arguments.seeds:
            yield seed, moving(portrait, cast("Box", tuple(map(round, box))), frames, seed)
        return
    group = cast("Pixels", cv2.imdecode(np.frombuffer(group_photo(), np.uint8), cv2.IMREAD_COLOR))
    photos = [(pixels, _faces_in(pixels, detector)) for pixels in (portrait, group)]
    if kind == "crowd":
        yield 0, crowd(photos)
        return
    manifest = load_manifest()
    mesh = load_attribute_network(manifest["facemesh"], store().path(manifest["facemesh"]), RuntimeOptions())
    yield 0, turning(photos, mesh, frames)


def measure(
    folder: Path,
    arguments: argparse.Namespace,
    pool: ProcessPoolExecutor,
    kind: str,
    seeded: tuple[int, Film],
) -> list[Figures]:
    """Render a film, have it masked by each way, and compare."""
    source = folder / "film.mp4"
    seed, film = seeded
    known = render(source, film, arguments.frames, seed)
    face_frames = sum(map(len, known))
    found = []
    for method, name in WAYS.items():
        target = folder / f"{method.value}.mp4"
        began = time.perf_counter()
        redact(pool, source, target, MaskOptions(method), arguments.detector, arguments.threshold)
        took = time.perf_counter() - began
        found.append(Figures(kind, name, face_frames, *exposed(source, target, known), took))
    if arguments.deface is not None:
        target = folder / "deface.mp4"
        command = [arguments.deface, "-t", str(arguments.threshold), "--replacewith", "solid", "--boxes"]
        began = time.perf_counter()
        subprocess.run([*command, "-o", str(target), str(source)], check=True, capture_output=True)  # noqa: S603 - the caller's own program
        took = time.perf_counter() - began
        found.append(Figures(kind, DEFACE, face_frames, *exposed(source, target, known), took))
    return found


def _portrait() -> Pixels:
    return cast("Pixels", cv2.resize(cast("Pixels", cv2.imread(str(FACE))), (512, 512)))


def store() -> Store:
    """Return where weights are kept."""
    return Store(Path(os.environ.get("FACE_API_HOME", default_home())) / "models")


def main() -> None:
    """Print a table, and write it as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="a moving film for each")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--threshold", type=float, default=0.3)
    parser.add_argument("--detector", default="yunet")
    parser.add_argument("--deface", help="path of deface's command")
    arguments = parser.parse_args()
    figures: list[Figures] = []
    count, likest = 0, -1.0
    # Forked processes would inherit the locks of this one's threads.
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool,
    ):
        list(pool.map(_warm, [arguments.detector] * 2 * (os.cpu_count() or 1)))
        for kind in arguments.kinds:
            for seeded in films(kind, arguments):
                figures += measure(Path(name), arguments, pool, kind, seeded)
                blurred = Path(name) / f"{MaskMethod.GAUSSIAN.value}.mp4"
                found, cosine = recognised(blurred, _portrait(), arguments.detector)
                count, likest = count + found, max(likest, cosine)
    ways = _together(figures)
    table = Table("films", "", "face frames", "exposed", "frames/s")
    for each in ways:
        row = (str(each.face_frames), str(each.exposed), f"{each.frames_per_s:g}")
        table.add_row(each.kind, each.name, *row)
    console = Console()
    console.print(table)
    console.print(f"after the default blur: {count} faces found, likest cosine {likest:.3f}")
    console.print(f"(two pictures of one person: {SAME_PERSON} and more)")
    bench = Path("bench")
    bench.mkdir(exist_ok=True)
    report = {
        "seeds": arguments.seeds,
        "ways": [{**asdict(each), "frames_per_s": each.frames_per_s} for each in ways],
        "found": count,
        "likest": likest,
    }
    (bench / "redact.json").write_text(json.dumps(report, indent=2))


def _together(figures: list[Figures]) -> list[Figures]:
    """Return what each way reaches with all films of a kind, and with all films."""
    found = []
    for kind in [*dict.fromkeys(each.kind for each in figures), "all"]:
        of_kind = [each for each in figures if kind in {each.kind, "all"}]
        for name in dict.fromkeys(each.name for each in of_kind):
            own = [each for each in of_kind if each.name == name]
            faces, seen, frames = (
                sum(values)
                for values in zip(*((f.face_frames, f.exposed, f.frames) for f in own), strict=True)
            )
            found.append(Figures(kind, name, faces, seen, frames, sum(each.took_s for each in own)))
    return found


if __name__ == "__main__":
    main()
