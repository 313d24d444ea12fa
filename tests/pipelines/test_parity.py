"""Golden parity: the same weights and the same letterbox give what the reference SCRFD gives."""

from __future__ import annotations

import importlib
import sys
import types
import zipfile
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from models.detectors import build_detector
from models.graph import relax_file
from models.listening import Silent
from models.session import RuntimeOptions
from models.sources import fetch_wheel
from pipelines.analyze_image import ImageAnalyzer
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.results import DetectOptions
from tests.pictures import GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALLEST = 1e-3
"""Pixels, and units of score, that results may differ by."""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Import the module of the reference alone, out of its wheel: its package would load far more."""
    folder = tmp_path_factory.mktemp("reference")
    with zipfile.ZipFile(fetch_wheel(GROUP.requirement, folder, Silent())) as wheel:
        wheel.extractall(folder, [name for name in wheel.namelist() if "/model_zoo/" in name])
    before = set(sys.modules)
    for name in ("insightface", "insightface.model_zoo"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder / name.replace(".", "/"))]
        sys.modules[name] = package
    yield importlib.import_module("insightface.model_zoo.scrfd")
    for name in {name for name in sys.modules if name.partition(".")[0] == "insightface"} - before:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["scrfd_500m", "scrfd_2.5g"])
async def test_equals_the_reference(
    reference: Any,  # noqa: ANN401 - a module that carries no types
    testdata: Path,
    group_photo_path: Path,
    name: str,
) -> None:
    """Boxes, scores and points of a square letterbox equal the reference's own."""
    weights = testdata / "weights" / f"{name}_kps.onnx"
    pixels = cv2.imread(str(group_photo_path))
    assert pixels is not None
    theirs = reference.SCRFD(str(weights))
    theirs.prepare(-1, det_thresh=0.5, nms_thresh=0.4)
    boxes, points = theirs.detect(pixels, input_size=(640, 640))

    network = build_detector(name, "scrfd", relax_file(weights), (640, 640), RuntimeOptions(device="cpu"))
    with ThreadLane(1) as lane:
        detector = InlineDetector(network, lane)
        analyzer = ImageAnalyzer({name: detector}, name, lane, small_side=0, square=True)
        # The decoder must not shrink it, so that both look at the same pixels.
        data = cv2.imencode(".png", pixels)[1].tobytes()
        faces = (await analyzer.detect(data, DetectOptions())).faces

    assert len(faces) == len(boxes) == 6
    assert faces.points is not None
    np.testing.assert_allclose(faces.boxes, boxes[:, :4], atol=SMALLEST, rtol=0)
    np.testing.assert_allclose(faces.scores, boxes[:, 4], atol=SMALLEST, rtol=0)
    np.testing.assert_allclose(faces.points, points, atol=SMALLEST, rtol=0)
