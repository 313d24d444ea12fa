"""Every network on what is hardly a face or none: values in range or null, never an exception."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from cluster.bench.turned_faces import mesh_of, rotation, solid_of, turned
from models.attribute_networks import load_attribute_network
from models.detectors import load_detector
from models.manifest import load_manifest
from models.session import RuntimeOptions
from pipelines.analyze_image import ImageAnalyzer
from pipelines.attributes import Attribute, Emotion, FaceAttributes, Gender
from pipelines.crops import points_of
from pipelines.faces import Faces
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.read_attributes import FaceReader, InlineCropNetworks
from pipelines.results import DetectOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from models.store import Store
    from pipelines.ports import CropNetwork

    Pixels = NDArray[np.uint8]

CPU = RuntimeOptions(device="cpu")
NAMES = ("facemesh", "age", "gender", "emotion", "glasses", "mask")
ALL = frozenset(Attribute)
#: The portrait's face, as YuNet finds it.
BOX = np.array([[179.0, 63, 270, 174]], np.float32)
POINTS = np.array(
    [[[200.1, 101.8], [247.1, 102.6], [220.4, 124.5], [198.6, 142.8], [239.7, 143.6]]], np.float32
)
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def lane() -> Iterator[ThreadLane]:
    """One thread for pictures."""
    with ThreadLane(1) as lane:
        yield lane


@pytest.fixture(scope="module")
def networks(weights_store: Store) -> dict[str, CropNetwork]:
    """Every network of the default pack that tells something of a face."""
    manifest = load_manifest()
    return {
        name: load_attribute_network(manifest[name], weights_store.path(manifest[name]), CPU)
        for name in NAMES
    }


@pytest.fixture(scope="module")
def reader(networks: dict[str, CropNetwork], lane: ThreadLane) -> FaceReader:
    """A reader over all of them."""
    return FaceReader(InlineCropNetworks(list(networks.values()), lane), lane)


@pytest.fixture(scope="module")
def analyzer(weights_store: Store, reader: FaceReader, lane: ThreadLane) -> ImageAnalyzer:
    """YuNet and the reader, as they are served."""
    yunet = load_manifest()["yunet"]
    detector = load_detector(yunet, weights_store.path(yunet), CPU)
    return ImageAnalyzer({"yunet": InlineDetector(detector, lane)}, "yunet", lane, reader=reader)


@pytest.fixture(scope="module")
def portrait(portrait_path: Path) -> Pixels:
    """One woman who smiles at the camera."""
    return np.asarray(cv2.imread(str(portrait_path)), np.uint8)


def check(face: FaceAttributes) -> None:
    """Fail where a value is one that the API may not show."""
    assert face.age is None or 0 <= face.age <= 100
    assert face.gender in {None, *Gender}
    assert face.emotion in {None, *Emotion}
    assert {type(face.glasses), type(face.mask)} <= {bool, type(None)}
    assert face.quality is not None
    assert 0 <= face.quality <= 1
    assert (face.pose is None) == (face.landmarks is None)
    if face.pose is not None and face.landmarks is not None:
        assert max(abs(face.pose.yaw), abs(face.pose.roll)) <= 180
        assert abs(face.pose.pitch) <= 90
        assert face.landmarks.shape == (106, 2)
        assert np.isfinite(face.landmarks).all()


def faces_of(boxes: NDArray[np.float32], points: NDArray[np.float32] | None = None) -> Faces:
    """Return faces with these boxes."""
    return Faces(boxes, np.full(len(boxes), 0.6, np.float32), points_of(boxes) if points is None else points)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda pixels: pixels[::16, ::16], id="tiny"),
        pytest.param(lambda pixels: pixels[:, 225:], id="half-a-face"),
        pytest.param(lambda pixels: pixels * 0, id="black"),
        pytest.param(lambda pixels: pixels * 0 + 255, id="white"),
        pytest.param(
            lambda pixels: np.clip(pixels.astype(int) * 5, 0, 255).astype(np.uint8), id="over-exposed"
        ),
        pytest.param(
            lambda pixels: np.random.default_rng(0).integers(0, 256, pixels.shape, np.uint8), id="noise"
        ),
        pytest.param(lambda pixels: pixels[:1, :1], id="one-pixel"),
        pytest.param(lambda pixels: pixels[100:101], id="one-row"),
    ],
)
async def test_bad_pictures_give_values_in_range_or_none(
    reader: FaceReader, portrait: Pixels, change: Callable[[NDArray[Any]], Pixels]
) -> None:
    """Whatever the picture is, boxes in it, over its edges and larger than it are read."""
    picture = np.ascontiguousarray(change(portrait))
    height, width = picture.shape[:2]
    boxes = np.array([[0, 0, width, height], [-20, -20, 20, 20], [width - 3, 0, width + 90, 60]], np.float32)
    found = await reader.read(picture, faces_of(np.concatenate([boxes, BOX])), ALL)
    assert len(found) == 4
    for face in found:
        check(face)


@pytest.mark.parametrize(
    "box",
    [
        pytest.param([600, 600, 700, 700], id="outside"),
        pytest.param([NAN] * 4, id="no-numbers"),
        pytest.param([0, 0, INF, INF], id="endless"),
        pytest.param([512, 100, 560, 160], id="behind-the-edge"),
    ],
)
async def test_a_box_that_shows_nothing_is_null_beside_one_that_shows_a_face(
    reader: FaceReader, portrait: Pixels, box: list[float]
) -> None:
    """It has quality 0 and no other value; its neighbour is read as if it were alone."""
    boxes = np.concatenate([np.array([box], np.float32), BOX])
    nothing, face = await reader.read(portrait, faces_of(boxes, np.concatenate([POINTS, POINTS])), ALL)
    (alone,) = await reader.read(portrait, faces_of(BOX, POINTS), ALL)
    assert nothing == FaceAttributes(quality=0.0)
    check(face)
    assert (face.age, face.gender, face.emotion) == (alone.age, alone.gender, alone.emotion)
    assert face.landmarks is not None
    assert alone.landmarks is not None
    np.testing.assert_allclose(face.landmarks, alone.landmarks, atol=0.01)


@pytest.mark.parametrize("value", [NAN, INF, -INF, 1e30])
@pytest.mark.parametrize("which", [slice(None), slice(0, 2), slice(2, 3)], ids=["all", "eyes", "nose"])
async def test_points_that_are_no_numbers_harm_nobody(
    reader: FaceReader, portrait: Pixels, value: float, which: slice
) -> None:
    """A detector's nonsense in a good box gives values in range, and a poor quality if all are nonsense."""
    points = POINTS.copy()
    points[:, which] = value
    (face,) = await reader.read(portrait, faces_of(BOX, points), ALL)
    check(face)
    if which == slice(None):
        assert face.quality is not None
        assert face.quality < 0.5


@pytest.mark.parametrize("degrees", [-90, -75, 75, 90])
async def test_profiles_are_read(
    reader: FaceReader, networks: dict[str, CropNetwork], portrait: Pixels, degrees: float
) -> None:
    """A face turned right away is of lower quality, and its yaw has the right sign where it is told."""
    solid = solid_of(portrait, mesh_of(networks["facemesh"], portrait, BOX, POINTS))
    box = np.array([[100, 90, 300, 310]], np.float32)
    straight, profile = [
        (await reader.read(turned(solid, rotation(yaw, 0, 0)), faces_of(box), ALL))[0] for yaw in (0, degrees)
    ]
    check(profile)
    check(straight)
    assert profile.pose is None or profile.pose.yaw * degrees > 0


async def test_boxes_on_texture_are_no_faces(reader: FaceReader, cat_path: Path) -> None:
    """Nine boxes on a cat's fur and the sofa: no pose and no points, and values in range."""
    cat = np.asarray(cv2.imread(str(cat_path)), np.uint8)
    corners = [(x, y) for x in (0, 140, 300) for y in (150, 180, 200)]
    boxes = np.array([[x, y, x + 90, y + 100] for x, y in corners], np.float32)
    found = await reader.read(cat, faces_of(boxes), ALL)
    for face in found:
        check(face)
    assert sum(face.landmarks is None for face in found) >= 8


async def test_three_hundred_faces_in_one_picture(reader: FaceReader, portrait: Pixels) -> None:
    """A crowd is read face by face as if each were alone, in order."""
    small = cv2.resize(portrait[40:200, 150:310], (64, 64), interpolation=cv2.INTER_AREA)
    crowd = np.tile(small, (15, 20, 1))
    one = np.array([[11, 9, 49, 54]], np.float32)
    steps = np.array([[x, y, x, y] for y in range(0, 960, 64) for x in range(0, 1280, 64)], np.float32)
    found = await reader.read(np.asarray(crowd, np.uint8), faces_of(one + steps), ALL)
    assert len(found) == 300
    for face, step in zip(found, steps, strict=True):
        check(face)
        assert face.landmarks is not None
        assert np.linalg.norm(face.landmarks.mean(axis=0) - step[:2] - 31) < 8
    assert await reader.read(portrait, Faces.none(with_points=True), ALL) == ()


async def test_a_grey_picture_is_read_as_one_with_colours(analyzer: ImageAnalyzer, portrait: Pixels) -> None:
    """A JPEG of one channel shows the same person: the same points, and an age not far off."""
    grey = cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY)
    faces = []
    for picture in (portrait, grey):
        data = cv2.imencode(".jpg", picture)[1].tobytes()
        found = await analyzer.detect(data, DetectOptions(0.6, attributes=ALL))
        assert found.attributes is not None
        (face,) = found.attributes
        check(face)
        faces.append(face)
    colours, without = faces
    assert colours.age is not None
    assert without.age is not None
    assert abs(colours.age - without.age) <= 15
    assert colours.landmarks is not None
    assert without.landmarks is not None
    assert np.linalg.norm(colours.landmarks - without.landmarks, axis=1).mean() < 3
