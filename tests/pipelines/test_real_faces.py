"""Real photos and a real detector: faces of every size are found, and masked ones are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from models.detectors import build_detector, load_detector
from models.graph import relax_file
from models.manifest import load_manifest
from models.session import RuntimeOptions
from pipelines.analyze_image import ImageAnalyzer
from pipelines.boxes import iou
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.results import DetectOptions, EncodeOptions, ImageFormat, MaskMethod, MaskOptions
from tests.pipelines.drawn import Pixels, exif_of, file_of, stored_as, with_exif

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from models.store import Store
    from pipelines.faces import Faces
    from pipelines.ports import DetectorNetwork

    Boxes = NDArray[np.float32]

CPU = RuntimeOptions(device="cpu")
OPTIONS = DetectOptions()


@pytest.fixture(scope="module")
def lane() -> Iterator[ThreadLane]:
    """One thread for pictures."""
    with ThreadLane(1) as lane:
        yield lane


@pytest.fixture(scope="module")
def yunet(weights_store: Store) -> DetectorNetwork:
    """The default detector."""
    network = load_manifest()["yunet"]
    return load_detector(network, weights_store.path(network), CPU)


@pytest.fixture(scope="module")
def analyzer(yunet: DetectorNetwork, lane: ThreadLane) -> ImageAnalyzer:
    """The default detector, looking at both canvases."""
    return ImageAnalyzer({"yunet": InlineDetector(yunet, lane)}, "yunet", lane)


@pytest.fixture(scope="module")
def group(group_photo_path: Path) -> Pixels:
    """Six people."""
    return _pixels(group_photo_path)


@pytest.fixture(scope="module")
def portrait(portrait_path: Path) -> Pixels:
    """One person."""
    return _pixels(portrait_path)


@pytest.fixture(scope="module")
def cat(cat_path: Path) -> Pixels:
    """No person."""
    return _pixels(cat_path)


def _pixels(path: Path) -> Pixels:
    pixels = cv2.imread(str(path))
    assert pixels is not None
    return np.asarray(pixels, np.uint8)


def _scaled(pixels: Pixels, factor: float) -> Pixels:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=how), np.uint8)


def _filling(pixels: Pixels, box: Boxes, share: float) -> Pixels:
    """Cut the picture so that the box covers this share of it, and bring it to an ordinary size."""
    middle, half = (box[:2] + box[2:]) / 2, max(box[2:] - box[:2]) / share / 2
    x1, y1 = np.maximum(middle - half, 0).astype(int)
    x2, y2 = (middle + half).astype(int)
    cut = pixels[y1:y2, x1:x2]
    return _scaled(cut, 1000 / max(cut.shape))


def _hits(faces: Faces, boxes: Boxes) -> int:
    return sum(len(faces) > 0 and bool(iou(box, faces.boxes).max() > 0.4) for box in boxes)


async def test_finds_everybody_and_nobody_else(
    analyzer: ImageAnalyzer, group: Pixels, portrait: Pixels, cat: Pixels
) -> None:
    """Six people are six faces, one person is one, and a cat is none."""
    assert len((await analyzer.detect(file_of(group), OPTIONS)).faces) == 6
    assert len((await analyzer.detect(file_of(portrait), DetectOptions(confidence=0.6))).faces) == 1
    assert len((await analyzer.detect(file_of(cat), DetectOptions(confidence=0.6))).faces) == 0


async def test_a_reduced_decode_finds_the_same(analyzer: ImageAnalyzer, group: Pixels) -> None:
    """A JPEG that is decoded at half size gives the faces of the full one to a pixel or so."""
    reduced = await analyzer.detect(file_of(group), OPTIONS)
    full = await analyzer.detect(file_of(group, ".png"), OPTIONS)
    assert len(reduced.faces) == len(full.faces)
    assert _hits(reduced.faces, full.faces.boxes) == 6
    np.testing.assert_allclose(np.sort(reduced.faces.boxes, 0), np.sort(full.faces.boxes, 0), atol=4)


@pytest.mark.parametrize("orientation", range(2, 9))
async def test_finds_upright_faces_however_stored(
    analyzer: ImageAnalyzer, group: Pixels, orientation: int
) -> None:
    """Faces of a picture stored sideways or mirrored are those of the upright picture."""
    seen = await analyzer.detect(file_of(group), OPTIONS)
    data = with_exif(file_of(stored_as(group, orientation)), exif_of(orientation))
    turned = await analyzer.detect(data, OPTIONS)
    assert len(turned.faces) == 6
    assert _hits(turned.faces, seen.faces.boxes) == 6


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8, 1.0, 1.2])
async def test_finds_a_face_that_fills_the_picture(
    analyzer: ImageAnalyzer, group: Pixels, share: float
) -> None:
    """However close the camera is, the face is found, and found once."""
    for box in (await analyzer.detect(file_of(group), OPTIONS)).faces.boxes:
        close = await analyzer.detect(file_of(_filling(group, box, share)), OPTIONS)
        large = close.faces.boxes[:, 2] - close.faces.boxes[:, 0] > 0.25 * close.image.width
        assert large.sum() == 1


async def test_scrfd_needs_the_small_canvas(
    testdata: Path, analyzer: ImageAnalyzer, group: Pixels, lane: ThreadLane
) -> None:
    """SCRFD alone is blind to faces that fill the picture; with the small canvas it finds them."""
    model = relax_file(testdata / "weights" / "scrfd_500m_kps.onnx")
    scrfd = InlineDetector(build_detector("scrfd_500m", "scrfd", model, (640, 640), CPU), lane)
    found = {0: 0, 128: 0}
    for box in (await analyzer.detect(file_of(group), OPTIONS)).faces.boxes:
        close = file_of(_filling(group, box, 0.95))
        for side in found:
            looking = ImageAnalyzer({"scrfd_500m": scrfd}, "scrfd_500m", lane, small_side=side)
            found[side] += len((await looking.detect(close, OPTIONS)).faces) > 0
    assert found[128] == 6
    assert found[0] < 3


@pytest.mark.parametrize("factor", [0.25, 0.5, 1, 4])
@pytest.mark.parametrize("method", [MaskMethod.GAUSSIAN, MaskMethod.SOLID])
async def test_masked_faces_are_not_found(
    analyzer: ImageAnalyzer, group: Pixels, portrait: Pixels, method: MaskMethod, factor: float
) -> None:
    """At the default strength no face is found where one was hidden, be it tiny or huge."""
    encode = EncodeOptions(ImageFormat.PNG)
    for pixels in (group, portrait):
        data = file_of(_scaled(pixels, factor))
        masked = await analyzer.mask(data, OPTIONS, MaskOptions(method), encode)
        assert masked.regions > 0
        again = await analyzer.detect(masked.data, OPTIONS)
        assert _hits(again.faces, masked.detection.faces.boxes) == 0
