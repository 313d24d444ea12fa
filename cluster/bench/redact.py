"""`python -m cluster.bench.redact --deface PATH`: faces left visible in masked films, and frames a second.

One face, whose box is known in every frame, moves over two scenes: large, small, blurred, hidden by a bar,
leaving and returning; in each film in another way. A face counts as exposed in a frame where more than a
fifth of its middle still shows what the source shows. `deface` is asked for the same films, threshold and
black boxes in the same run; who runs the bench installs it, anywhere: `pip install deface onnxruntime`.
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
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from app.settings import default_home
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
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from pipelines.faces import Faces
    from pipelines.ports import DetectorNetwork
    from pipelines.video.plan import Chunk
    from pipelines.video.probe import VideoInfo

    Pixels = NDArray[np.uint8]
    Box = tuple[int, int, int, int]

SIZE, RATE = (1920, 1080), 30
FACE = Path(__file__).parents[1] / "assets" / "astronaut.jpg"
#: Cosine of two SFace vectors above which they are taken for one person.
SAME_PERSON = 0.363
MIN_SIDE = 24
WAYS = {MaskMethod.SOLID: "facefleet, black", MaskMethod.GAUSSIAN: "facefleet, default blur"}
DEFACE = "deface, black boxes"
#: A pixel that changed by less shows what the source shows; so much of a face's middle may.
UNCHANGED, MOST_SHOWN = 25, 0.2


@dataclass(frozen=True, slots=True)
class Figures:
    """What one way reaches."""

    name: str
    face_frames: int
    exposed: int
    frames: int
    took_s: float

    @property
    def frames_per_s(self) -> float:
        """Return how fast it is."""
        return round(self.frames / self.took_s, 1)


@dataclass(frozen=True, slots=True)
class Motion:
    """How the face moves, in rounds per film: sideways, up and down, nearer; and where it begins."""

    rounds: tuple[float, float, float] = (2.5, 4.0, 3.0)
    begins: tuple[float, float, float] = (0.0, 0.25, 0.0)

    @classmethod
    def of(cls, seed: int) -> Motion:
        """Return the motion of a seed; 0 is that of the first film that was measured."""
        if seed == 0:
            return cls()
        rng = np.random.default_rng(seed)
        across, down, nearer = rng.uniform((1, 1, 1), (3, 4, 4)).tolist()
        first, second, third = rng.uniform(0, 1, 3).tolist()
        return cls((across, down, nearer), (first, second, third))

    def at(self, part: float) -> tuple[float, float, float]:
        """Return three numbers from -1 to 1 at a part of the film."""
        angles = (np.array(self.rounds) * part + self.begins) * 2 * np.pi
        across, down, nearer = np.sin(angles).tolist()
        return across, down, nearer


def render(path: Path, frames: int, face: Pixels, box: Box, seed: int = 0) -> list[Box | None]:
    """Write the film, and return where the face is in each frame; None where it is not, or is hidden."""
    rng, motion = np.random.default_rng(seed), Motion.of(seed)
    scenes = [_backdrop(rng) for _ in range(2)]
    grain = [rng.normal(0, 3, (SIZE[1], SIZE[0], 1)).astype(np.int16) for _ in range(4)]
    known: list[Box | None] = []
    with av.open(str(path), "w") as container:
        stream = cast(
            "VideoStream", container.add_stream("libx264", rate=RATE, options={"crf": "18", "g": "60"})
        )
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for index in range(frames):
            picture = scenes[index * 2 // frames].copy()
            known.append(_put(picture, face, box, index / frames, motion))
            noisy = np.clip(picture + grain[index % 4], 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(noisy, format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return known


def _backdrop(rng: np.random.Generator) -> Pixels:
    noise = cv2.GaussianBlur(rng.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8), (0, 0), 9)
    return cast("Pixels", cv2.normalize(noise, None, 20, 230, cv2.NORM_MINMAX))  # type: ignore[call-overload] # None allocates


def _put(picture: Pixels, face: Pixels, box: Box, part: float, motion: Motion) -> Box | None:
    """Draw the face where it is at this time, and return its box unless it is hidden or outside."""
    across, down, nearer = motion.at(part)
    scale = 0.5 + 0.45 * nearer
    side = max(40, int(face.shape[0] * scale))
    small = cast("Pixels", cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA))
    if int(part * 8) % 4 == 1:
        small = cast("Pixels", cv2.GaussianBlur(small, (0, 0), side / 90))
    x = int(SIZE[0] * (0.5 + 0.62 * across)) - side // 2
    y = int(SIZE[1] * (0.45 + 0.25 * down)) - side // 2
    left, top = max(0, x), max(0, y)
    right, bottom = min(SIZE[0], x + side), min(SIZE[1], y + side)
    if right > left and bottom > top:
        picture[top:bottom, left:right] = small[top - y : bottom - y, left - x : right - x]
    # A post in the picture's middle, behind which the face passes.
    picture[:, 900:990] = (60, 70, 80)
    ratio = side / face.shape[0]
    x1, y1, x2, y2 = (round(value * ratio) for value in box)
    found = (x + x1, y + y1, x + x2, y + y2)
    is_inside = found[0] >= 0 and found[1] >= 0 and found[2] <= SIZE[0] and found[3] <= SIZE[1]
    is_behind = found[0] < 990 and found[2] > 900  # noqa: PLR2004 - the post's edges
    return found if is_inside and not is_behind and min(x2 - x1, y2 - y1) >= MIN_SIDE else None


# --- ours -------------------------------------------------------------------------------------------------


@functools.cache
def _network(name: str) -> DetectorNetwork:
    store = Store(Path(os.environ.get("FACE_API_HOME", default_home())) / "models")
    network = load_manifest()[name]
    return load_detector(network, store.path(network), RuntimeOptions(device="cpu", threads=1))


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


def exposed(source: Path, masked: Path, known: list[Box | None]) -> tuple[int, int]:
    """Return in how many frames the face can still be seen, and how many frames the film has."""
    count, frames = 0, 0
    with av.open(str(source)) as one, av.open(str(masked)) as two:
        for old, new, box in zip(one.decode(video=0), two.decode(video=0), known, strict=False):
            frames += 1
            if box is None:
                continue
            x1, y1, x2, y2 = box
            inset_x, inset_y = (x2 - x1) // 5, (y2 - y1) // 5
            middle = np.s_[y1 + inset_y : y2 - inset_y, x1 + inset_x : x2 - inset_x]
            before, after = (each.to_ndarray(format="bgr24")[middle].astype(np.int16) for each in (old, new))
            shown = (np.abs(before - after).max(axis=2) < UNCHANGED).mean()
            count += bool(shown > MOST_SHOWN)
    return count, frames


def recognised(masked: Path, face: Pixels, detector: str) -> tuple[int, float]:
    """Return how many faces are found in every third frame, and the likest cosine among them."""
    store = Store(Path(os.environ.get("FACE_API_HOME", default_home())) / "models")
    network = load_manifest()["sface"]
    embedder = load_embedder(network, store.path(network), RuntimeOptions(device="cpu"))
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


def measure(
    folder: Path, arguments: argparse.Namespace, pool: ProcessPoolExecutor, seed: int
) -> list[Figures]:
    """Render a film, have it masked by each way, and compare."""
    face = _portrait()
    (box,) = _faces_in(face, arguments.detector).take(np.array([0])).boxes.tolist()
    film = folder / "film.mp4"
    known = render(film, arguments.frames, face, cast("Box", tuple(map(round, box))), seed)
    face_frames = sum(each is not None for each in known)
    found = []
    for method, name in WAYS.items():
        target = folder / f"{method.value}.mp4"
        began = time.perf_counter()
        redact(pool, film, target, MaskOptions(method), arguments.detector, arguments.threshold)
        took = time.perf_counter() - began
        found.append(Figures(name, face_frames, *exposed(film, target, known), took))
    if arguments.deface is not None:
        target = folder / "deface.mp4"
        command = [arguments.deface, "-t", str(arguments.threshold), "--replacewith", "solid", "--boxes"]
        began = time.perf_counter()
        subprocess.run([*command, "-o", str(target), str(film)], check=True, capture_output=True)  # noqa: S603 - the caller's own program
        took = time.perf_counter() - began
        found.append(Figures(DEFACE, face_frames, *exposed(film, target, known), took))
    return found


def _portrait() -> Pixels:
    return cast("Pixels", cv2.resize(cast("Pixels", cv2.imread(str(FACE))), (512, 512)))


def main() -> None:
    """Print a table, and write it as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="a film for each")
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
        for seed in arguments.seeds:
            figures += measure(Path(name), arguments, pool, seed)
            blurred = Path(name) / f"{MaskMethod.GAUSSIAN.value}.mp4"
            found, cosine = recognised(blurred, _portrait(), arguments.detector)
            count, likest = count + found, max(likest, cosine)
    ways = [_together(name, figures) for name in dict.fromkeys(each.name for each in figures)]
    table = Table("", "face frames", "exposed", "frames/s")
    for each in ways:
        table.add_row(each.name, str(each.face_frames), str(each.exposed), f"{each.frames_per_s:g}")
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


def _together(name: str, figures: list[Figures]) -> Figures:
    """Return what one way reaches over all films."""
    own = [each for each in figures if each.name == name]
    return Figures(
        name,
        sum(each.face_frames for each in own),
        sum(each.exposed for each in own),
        sum(each.frames for each in own),
        sum(each.took_s for each in own),
    )


if __name__ == "__main__":
    main()
