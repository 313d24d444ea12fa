"""A real face in a film, and real networks: it is hidden in every frame, and no network knows it again."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import numpy as np
import pytest

from models.detectors import load_detector
from models.embedder import load_embedder
from models.manifest import load_manifest
from models.session import RuntimeOptions
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
    from pathlib import Path

    from av.video.stream import VideoStream

    from models.store import Store
    from pipelines.faces import Faces
    from pipelines.ports import DetectorNetwork

CPU = RuntimeOptions(device="cpu")
SIZE, FRAMES = (640, 360), 48
#: Cosine of two vectors above which SFace takes two faces for one person.
SAME_PERSON = 0.363


@pytest.fixture(scope="module")
def detector(weights_store: Store) -> DetectorNetwork:
    """The default detector."""
    network = load_manifest()["yunet"]
    return load_detector(network, weights_store.path(network), CPU)


def faces_in(network: DetectorNetwork, pixels: Any) -> Faces:  # noqa: ANN401 - pixels
    """Return the faces of a picture."""
    looks = looks_at((pixels.shape[1], pixels.shape[0]), network.spec, SMALL_SIDE)
    canvases = lay_out(pixels, looks, CanvasPool())
    proposals = [network.propose([canvas], [0.5])[0] for canvas in canvases]
    return faces_of(candidates_of(proposals, looks), 0.4)


def place(index: int) -> tuple[int, int, int]:
    """Return where the portrait is drawn in a frame: left, top, side."""
    side = 150 + 2 * index
    return int(300 + 140 * np.sin(index / 7)) - side // 2 + 40, 20 + index, side


def film(path: Path, portrait: Any) -> Path:  # noqa: ANN401 - pixels
    """Write a film in which a portrait moves, comes nearer, and blinks: each sixth frame is smeared."""
    rng = np.random.default_rng(0)
    backdrop = cv2.GaussianBlur(rng.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8), (0, 0), 7)
    with av.open(str(path), "w") as container:
        stream = cast("VideoStream", container.add_stream("libx264", rate=24, options={"crf": "16"}))
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.gop_size = 12
        for index in range(FRAMES):
            left, top, side = place(index)
            face = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
            if index % 6 == 5:
                face = cv2.blur(face, (side // 6, side // 6))
            picture = backdrop.copy()
            picture[top : top + side, left : left + side] = face[: SIZE[1] - top]
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def masked(detector: DetectorNetwork, source: Path, target: Path, mask: MaskOptions) -> Path:
    """Mask the film."""
    probe = probe_video(source)
    output = decide(probe.info, look_at(source, probe), OutputOptions())
    plan = plan_redaction(probe, Span(), 0.1)
    analyzer = ChunkAnalyzer(InlineDetector(detector, HereLane()), HereLane())
    found = []
    for chunk in plan.find:
        data = asyncio.run(
            find_faces(analyzer, EveryFrame(source, probe.info, chunk), FrameOptions(0.3 * FAINT, 16))
        )
        found += read_found(data, probe.table.index_at)
    covered = cover(found, frame_times(probe), plan.cover_options(0.3))
    files = []
    for chunk in plan.write:
        boxes = {}
        for tick in (tick for group in chunk.groups or () for tick in group.wanted):
            regions = covered.regions.get(probe.table.index_at(tick), ())
            rows = np.array([each.box for each in regions], np.float32).reshape(-1, 4)
            padded = grow(rows, mask.padding).tolist()
            boxes[tick] = tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in padded)
        files.append(target.with_name(f"{chunk.index}"))
        write_chunk(WriteJob(source, probe.info, chunk, boxes, mask, output), files[-1])
    assert len(files) > 1
    join(source, probe.info, probe.table.end, output, files, target)
    return target


@pytest.mark.parametrize("method", MaskMethod)
def test_nobody_knows_the_face_again(
    detector: DetectorNetwork, weights_store: Store, portrait_path: Path, tmp_path: Path, method: MaskMethod
) -> None:
    """In no frame, smeared or not, is a face found that is like the one that was hidden."""
    portrait = cv2.imread(str(portrait_path))
    own = faces_in(detector, portrait).take(np.array([0]))
    x1, y1, x2, y2 = (own.boxes[0] / 512).tolist()
    sface = load_manifest()["sface"]
    embedder = load_embedder(sface, weights_store.path(sface), CPU)
    (known,) = embed_here(embedder, cast("Any", portrait), own).vectors
    source = film(tmp_path / "film.mp4", portrait)
    result = masked(detector, source, tmp_path / "masked.mp4", MaskOptions(method))
    with av.open(str(source)) as one, av.open(str(result)) as two:
        pairs = list(zip(one.decode(video=0), two.decode(video=0), strict=True))
    assert len(pairs) == FRAMES
    for index, (old, new) in enumerate(pairs):
        pixels = new.to_ndarray(format="bgr24")
        left, top, side = place(index)
        middle = np.s_[
            top + int((y1 * 0.8 + y2 * 0.2) * side) : top + int((y1 * 0.2 + y2 * 0.8) * side),
            left + int((x1 * 0.8 + x2 * 0.2) * side) : left + int((x1 * 0.2 + x2 * 0.8) * side),
        ]
        before, after = old.to_ndarray(format="bgr24")[middle], pixels[middle]
        # Of the face's lines nothing is left.
        edges = [np.abs(cv2.Laplacian(each, cv2.CV_32F)).mean() for each in (before, after)]
        assert edges[1] < 0.5 * edges[0] or method is MaskMethod.PIXELATE, index
        faces = faces_in(detector, pixels)
        if len(faces):
            assert (embed_here(embedder, pixels, faces).vectors @ known).max() < SAME_PERSON, index


def test_a_small_face_of_a_large_film_is_seen(
    detector: DetectorNetwork, portrait_path: Path, tmp_path: Path
) -> None:
    """A face of 26 pixels in 1080p, too small for detectors in their usual square, is found in each frame."""
    portrait = cv2.resize(cast("Any", cv2.imread(str(portrait_path))), (108, 108))
    x1, y1, x2, y2 = faces_in(detector, portrait).take(np.array([0])).boxes[0].tolist()
    ratio = 26 / (x2 - x1)
    small = cv2.resize(portrait, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    path, size = tmp_path / "film.mp4", (1920, 1080)
    with av.open(str(path), "w") as container:
        stream = cast("VideoStream", container.add_stream("libx264", rate=24, options={"crf": "16"}))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(3):
            picture = np.full((size[1], size[0], 3), 90, np.uint8)
            left = 400 + 500 * index
            picture[500 : 500 + small.shape[0], left : left + small.shape[1]] = small
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    probe = probe_video(path)
    (chunk,) = plan_redaction(probe, Span()).find
    analyzer = ChunkAnalyzer(InlineDetector(detector, HereLane()), HereLane())
    options = FrameOptions(0.3, 16, large_side=large_side(size, 16))
    data = asyncio.run(find_faces(analyzer, EveryFrame(path, probe.info, chunk), options))
    found = read_found(data, probe.table.index_at)
    for index, frame_found in enumerate(found):
        face = max(frame_found.faces, key=lambda each: each.confidence)
        assert face.confidence > 0.5
        middle = 400 + 500 * index + (x1 + x2) / 2 * ratio, 500 + (y1 + y2) / 2 * ratio
        assert face.box[0] < middle[0] < face.box[2]
        assert face.box[1] < middle[1] < face.box[3]
    assert large_side(size, 40) == 0
    assert large_side((640, 360), 16) == 0
