"""Masked pictures with a real detector: all that door one hides is hidden, and smaller faces as well."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from pydantic_core import from_json

from app.net.allowing import AllowList
from app.tasks.mask_image import MaskImagePipeline
from app.tasks.mask_requests import MaskTaskRequest, new_mask_task
from models.detectors import load_detector
from models.manifest import load_manifest
from models.session import RuntimeOptions
from pipelines.analyze_image import ImageAnalyzer
from pipelines.boxes import iou
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.results import DetectOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from models.store import Store


class Shelf:
    """Keeps a picture in memory."""

    async def keep(self, path: Path, suffix: str) -> str:
        """Take a file, and name it."""
        assert path.name.endswith("-masked")
        return f"kept.{suffix}"

    async def bring(self, key: str, target: Path) -> None:
        """Nothing is ever brought back."""
        raise NotImplementedError


@pytest.fixture(scope="module")
def analyzer(weights_store: Store) -> Iterator[ImageAnalyzer]:
    """The default detector."""
    network = load_manifest()["yunet"]
    loaded = load_detector(network, weights_store.path(network), RuntimeOptions(device="cpu"))
    with ThreadLane(1) as lane:
        yield ImageAnalyzer({"yunet": InlineDetector(loaded, lane)}, "yunet", lane)


def crowd(group: Any, portrait: Any) -> Any:  # noqa: ANN401 - pixels
    """Return a photo of many groups, some near and most far away."""
    picture = np.full((1800, 2400, 3), 120, np.uint8)
    for number in range(20):
        factor = (0.5, 0.16, 0.2, 0.25)[number % 4]
        small = cv2.resize(group, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        left, top = number % 5 * 480, number // 5 * 440
        shown = small[: 1800 - top, : min(470, 2400 - left)]
        picture[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    picture[1400:1500, 2290:2390] = cv2.resize(portrait, (100, 100), interpolation=cv2.INTER_AREA)
    return picture


async def hidden(analyzer: ImageAnalyzer, data: bytes, folder: Path) -> Any:  # noqa: ANN401 - boxes
    """Return the boxes that a mask task of default options hides in a picture."""
    request = MaskTaskRequest(type="image", media_url="https://example.com/a.jpg")
    options = new_mask_task(request, AllowList(), can_sign=False).options
    path = folder / "media"
    path.write_bytes(data)
    work = await MaskImagePipeline(analyzer).open(path, options, uuid.uuid4(), Shelf())
    return np.array(from_json(await work.analyse(0))["boxes"], np.float32).reshape(-1, 4)


async def test_what_door_one_hides_is_hidden(
    analyzer: ImageAnalyzer, group_photo_path: Path, portrait_path: Path, tmp_path: Path
) -> None:
    """Small pictures, large ones, a face that fills its picture, a crowd: each face of door one is hidden."""
    group, portrait = (np.asarray(cv2.imread(str(path))) for path in (group_photo_path, portrait_path))
    pictures = {
        "group": group,
        "tiny": cv2.resize(group, (160, 110), interpolation=cv2.INTER_AREA),
        "large": cv2.resize(group, None, fx=2.5, fy=2.5),
        "portrait": portrait,
        "filling": cv2.resize(portrait[40:190, 150:290], (1400, 1500)),
        "crowd": crowd(group, portrait),
    }
    counts = {}
    for name, pixels in pictures.items():
        data = cv2.imencode(".jpg", pixels)[1].tobytes()
        of_door_one = (await analyzer.detect(data, DetectOptions())).faces.boxes
        of_task = await hidden(analyzer, data, tmp_path)
        assert len(of_door_one), name
        for box in of_door_one:
            assert iou(box, of_task).max(initial=0) > 0.5, (name, box)
        counts[name] = len(of_door_one), len(of_task)
    # Of 121 people of the crowd most are too small for the usual canvas.
    assert counts["crowd"][1] > counts["crowd"][0] + 10, counts
