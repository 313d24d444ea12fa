"""Faces as vectors on the lane, and which pictures may be enrolled: with networks whose answers are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from models.detectors import load_detector
from models.embedder import load_embedder
from models.manifest import load_manifest
from models.session import RuntimeOptions
from pipelines.analyze_image import ImageAnalyzer
from pipelines.crops import points_of
from pipelines.embed_faces import CropEmbedder, EmbeddedFaces, embed_here
from pipelines.enrolment import EnrolmentRules, Reason, judge, largest
from pipelines.errors import DependencyDown
from pipelines.faces import Faces
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.ports import CropSpec, Reading
from pipelines.quality import QUALITY_CROP
from pipelines.read_attributes import InlineCropNetworks
from pipelines.results import DetectOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from numpy.typing import NDArray

    from models.store import Store

CPU = RuntimeOptions(device="cpu")


class MeanColours:
    """A network whose vector is what stands in the left and the right half of the crop."""

    spec = CropSpec("colours", Reading.EMBEDDING, (QUALITY_CROP,))
    max_batch = 16

    def __init__(self) -> None:
        self.seen: list[int] = []

    def answer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return a vector for each crop."""
        self.seen.append(len(crops))
        halves = [crops[:, :, :56].mean(axis=(1, 2)), crops[:, :, 56:].mean(axis=(1, 2))]
        rows = np.concatenate(halves, axis=1) + 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def faces_in_a_row(count: int, side: float = 60) -> Faces:
    """Return faces without points, one beside the other."""
    boxes = np.array([[at * side, 0, (at + 1) * side, side] for at in range(count)], np.float32)
    return Faces(boxes.reshape(-1, 4), np.full(count, 0.9, np.float32), None)


def stripes(count: int, side: int = 60) -> NDArray[np.uint8]:
    """Return a picture in which each face has a colour of its own, brighter on its right."""
    random = np.random.default_rng(0)
    picture = random.integers(20, 200, (1, count * 2, 3), np.uint8)
    return np.asarray(cv2.resize(picture, (count * side, side), interpolation=cv2.INTER_NEAREST), np.uint8)


@pytest.mark.parametrize("flip", [False, True])
async def test_every_face_has_its_vector(flip: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """More faces than one group holds come out in order, as they do one by one; so they do on a thread."""
    network, pixels, faces = MeanColours(), stripes(20), faces_in_a_row(20)
    with ThreadLane(1) as lane:
        embedder = CropEmbedder(InlineCropNetworks([network], lane), "colours", lane, flip=flip)
        together = await embedder.embed(pixels, faces)
        alone = [await embedder.embed(pixels, faces.take(np.array([at]))) for at in range(20)]
    assert embedder.space == ("colours+flip" if flip else "colours")
    assert len(together) == 20
    np.testing.assert_allclose(together.vectors, np.concatenate([each.vectors for each in alone]), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together.vectors, axis=1), 1, atol=1e-6)
    here = embed_here(network, pixels, faces, flip=flip)
    np.testing.assert_allclose(here.vectors, together.vectors, atol=1e-6)
    np.testing.assert_allclose(here.qualities, together.qualities)
    assert max(network.seen) == (32 if flip else 16)


def test_flipping_averages_a_face_and_its_mirror_image() -> None:
    """A face and its mirrored self have one vector where both are looked at, and two where one is."""
    network = MeanColours()
    pixels, faces = stripes(1), faces_in_a_row(1)
    mirrored = np.ascontiguousarray(pixels[:, ::-1])
    for flip, are_equal in ((True, True), (False, False)):
        one, other = (embed_here(network, each, faces, flip=flip).vectors for each in (pixels, mirrored))
        assert np.allclose(one, other, atol=2e-2) is are_equal


def test_no_faces_have_no_vectors() -> None:
    """A picture without faces gives an empty answer of the right shape."""
    found = embed_here(MeanColours(), stripes(1), faces_in_a_row(0))
    assert found.vectors.shape == (0, 6)
    assert found.qualities.shape == (0,)
    assert judge(faces_in_a_row(0), found).reason is Reason.NO_FACE
    assert largest(faces_in_a_row(0)) is None


@pytest.fixture(name="analyzer")
async def an_analyzer(weights_store: Store) -> AsyncIterator[ImageAnalyzer]:
    """Return the analyzer with the default detector and embedding network."""
    manifest = load_manifest()
    yunet = load_detector(manifest["yunet"], weights_store.path(manifest["yunet"]), CPU)
    sface = load_embedder(manifest["sface"], weights_store.path(manifest["sface"]), CPU)
    with ThreadLane(1) as lane:
        embedder = CropEmbedder(InlineCropNetworks([sface], lane), "sface", lane)
        yield ImageAnalyzer({"yunet": InlineDetector(yunet, lane)}, "yunet", lane, embedder=embedder)


async def reason_of(analyzer: ImageAnalyzer, pixels: NDArray[np.uint8]) -> Reason | None:
    """Return why a picture is refused, None where it is taken."""
    data = cv2.imencode(".png", pixels)[1].tobytes()
    found = await analyzer.detect(data, DetectOptions(embed=True))
    assert found.embedded is not None
    assert found.profile.embedding_ms is not None
    return judge(found.faces, found.embedded).reason


async def test_real_pictures_are_judged_as_people_would(
    analyzer: ImageAnalyzer, portrait_path: Path, group_photo_path: Path, cat_path: Path
) -> None:
    """A portrait is taken; small, dark, blurred, crowded and faceless ones are refused for what is wrong."""
    portrait = np.asarray(cv2.imread(str(portrait_path)), np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(portrait, (0, 0), 7), np.uint8)
    dark = np.asarray(cv2.convertScaleAbs(portrait, alpha=0.12), np.uint8)
    small = np.asarray(cv2.resize(portrait, None, fx=0.35, fy=0.35, interpolation=cv2.INTER_AREA), np.uint8)
    assert await reason_of(analyzer, portrait) is None
    assert await reason_of(analyzer, blurred) in {Reason.TOO_BLURRED, Reason.LOW_CONFIDENCE}
    assert await reason_of(analyzer, dark) in {Reason.TOO_DARK, Reason.LOW_CONFIDENCE, Reason.NO_FACE}
    assert await reason_of(analyzer, small) is Reason.TOO_SMALL
    assert (
        await reason_of(analyzer, np.asarray(cv2.imread(str(group_photo_path)), np.uint8))
        is Reason.SEVERAL_FACES
    )
    assert await reason_of(analyzer, np.asarray(cv2.imread(str(cat_path)), np.uint8)) is Reason.NO_FACE


async def test_without_a_network_nobody_is_recognised(weights_store: Store, portrait_path: Path) -> None:
    """A service that has no embedding network says so instead of answering without vectors."""
    manifest = load_manifest()
    yunet = load_detector(manifest["yunet"], weights_store.path(manifest["yunet"]), CPU)
    with ThreadLane(1) as lane:
        analyzer = ImageAnalyzer({"yunet": InlineDetector(yunet, lane)}, "yunet", lane)
        with pytest.raises(DependencyDown, match="recognises"):
            await reason_of(analyzer, np.asarray(cv2.imread(str(portrait_path)), np.uint8))


def test_a_turned_head_is_refused() -> None:
    """Points as a profile has them, eyes close together, are refused; so are those of a deep nod."""
    faces = faces_in_a_row(1, side=200)
    points = points_of(faces.boxes)
    points[0, :, 0] = [20, 50, 5, 25, 45]
    turned = Faces(faces.boxes, faces.scores, points)
    nod = points_of(faces.boxes)
    nod[0, 3:, 1] = nod[0, 0, 1] + 20
    nodded = Faces(faces.boxes, faces.scores, nod)
    network, pixels = MeanColours(), np.full((200, 200, 3), 128, np.uint8)
    rules = EnrolmentRules(sharpness=0)
    for away in (turned, nodded):
        assert judge(away, embed_here(network, pixels, away), rules).reason is Reason.EXTREME_POSE
    frontal = Faces(faces.boxes, faces.scores, points_of(faces.boxes))
    assert judge(frontal, embed_here(network, pixels, frontal), rules).face == 0


def test_odd_numbers_are_no_reference() -> None:
    """A face whose figures are not numbers is refused, not taken."""
    faces = Faces(np.array([[0, 0, 90, 90]], np.float32), np.array([np.nan], np.float32), None)
    embedded = EmbeddedFaces(np.ones((1, 4), np.float32), np.full((1, 5), 0.9), np.array([0.5]))
    assert judge(faces, embedded).reason is Reason.LOW_CONFIDENCE
