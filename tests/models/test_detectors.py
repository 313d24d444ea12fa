"""Detectors as they are loaded and asked: layouts, batches, canvases, real faces, the reference."""

from __future__ import annotations

import importlib
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx
import pytest
from filelock import FileLock

from models.canvas_detector import InputScaling, fill_blob
from models.detectors import build_detector, find_detector, load_detector
from models.errors import BadWeights, UnknownNetwork
from models.graph import relax
from models.listening import Silent
from models.manifest import load_manifest
from models.session import RuntimeOptions
from models.sources import fetch_wheel
from pipelines.boxes import suppress
from pipelines.canvas import CanvasPool, fit, lay
from tests.fakes.scrfd import Layout, scrfd_export
from tests.pictures import CACHE, GROUP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.store import Store
    from pipelines.faces import Faces
    from pipelines.ports import DetectorNetwork

CPU = RuntimeOptions(device="cpu")


def synthetic(layout: Layout, *, points: bool = True, logits: bool = False) -> DetectorNetwork:
    """Load the synthetic network."""
    data = relax(scrfd_export(layout, points=points, logits=logits)).SerializeToString()
    return build_detector("synthetic", "scrfd", data, (640, 640), CPU)


def noise(seed: int, height: int = 96, width: int = 160) -> NDArray[np.uint8]:
    """Return a canvas of coloured patches."""
    random = np.random.default_rng(seed)
    patches = random.integers(0, 256, (height // 32, width // 32, 3), np.uint8)
    return np.ascontiguousarray(patches.repeat(32, axis=0).repeat(32, axis=1))


def canvas_of(path: Path, *, square: bool = False) -> tuple[NDArray[np.uint8], float]:
    """Return a photo on its canvas and its scale."""
    photo = np.asarray(cv2.imread(str(path)), np.uint8)
    how = fit((photo.shape[1], photo.shape[0]), (640, 640), 32, square=square)
    return lay(photo, how, CanvasPool()), how.scale


def assert_same(one: Faces, other: Faces, *, pixels: float) -> None:
    """Compare faces in order."""
    assert len(one) == len(other) > 0
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
    np.testing.assert_allclose(one.boxes, other.boxes, atol=pixels)
    assert (one.points is None) == (other.points is None)
    if one.points is not None and other.points is not None:
        np.testing.assert_allclose(one.points, other.points, atol=pixels)


@pytest.mark.parametrize("layout", ["official", "reexported"])
def test_a_batch_is_its_pictures(layout: Layout) -> None:
    """Each canvas of a batch gets what it gets alone, at its own confidence."""
    detector = synthetic(layout)
    assert detector.max_batch > 1
    canvases, confidences = [noise(seed) for seed in range(3)], [0.3, 0.6, 0.9]
    together = detector.propose(canvases, confidences)
    assert [answer.batch_size for answer in together] == [3, 3, 3]
    for canvas, confidence, answer in zip(canvases, confidences, together, strict=True):
        (alone,) = detector.propose([canvas], [confidence])
        assert_same(answer.faces, alone.faces, pixels=1e-3)
        assert float(answer.faces.scores.min()) >= np.float32(confidence)


def test_a_batch_that_is_not_proven_is_refused() -> None:
    """Such an export runs one canvas at a time, and says so when asked for more."""
    detector = synthetic("stubborn")
    assert detector.max_batch == 1
    (alone,) = detector.propose([noise(0)], [0.3])
    (proven,) = synthetic("official").propose([noise(0)], [0.3])
    assert_same(alone.faces, proven.faces, pixels=1e-3)
    with pytest.raises(ValueError, match="1 to 1"):
        detector.propose([noise(0), noise(1)], [0.3, 0.3])


def test_points_and_scores_are_as_the_export_has_them() -> None:
    """Exports without points and exports that answer with logits are told by their outputs."""
    bare = synthetic("official", points=False)
    assert not bare.spec.has_points
    assert bare.propose([noise(0)], [0.3])[0].faces.points is None
    logits, scores = synthetic("reexported", logits=True), synthetic("reexported")
    assert_same(
        logits.propose([noise(0)], [0.3])[0].faces, scores.propose([noise(0)], [0.3])[0].faces, pixels=1e-3
    )


def test_earlier_answers_stay_as_they_were() -> None:
    """The network's arrays are used again, what was answered is not touched by that."""
    detector = synthetic("reexported")
    first = detector.propose([noise(0)], [0.3])[0].faces
    boxes = first.boxes.copy()
    detector.propose([noise(1)], [0.3])
    np.testing.assert_array_equal(first.boxes, boxes)


@pytest.mark.parametrize(
    "canvas",
    [
        pytest.param(np.zeros((100, 160, 3), np.uint8), id="height-no-multiple"),
        pytest.param(np.zeros((96, 150, 3), np.uint8), id="width-no-multiple"),
        pytest.param(np.zeros((96, 160), np.uint8), id="grey"),
        pytest.param(np.zeros((96, 160, 4), np.uint8), id="four-channels"),
        pytest.param(np.zeros((0, 160, 3), np.uint8), id="empty"),
        pytest.param(np.zeros((96, 160, 3), np.float32), id="float"),
    ],
)
def test_canvases_that_cannot_be_fed_are_refused(canvas: NDArray[Any]) -> None:
    """A wrong canvas is a bug of the caller and is named, not fed."""
    with pytest.raises(ValueError, match=r"multiples of 32|uint8"):
        synthetic("official").propose([canvas], [0.5])


def test_canvases_of_one_batch_have_one_shape() -> None:
    """Different shapes cannot share a run, nor can confidences be missing."""
    detector = synthetic("official")
    with pytest.raises(ValueError, match="like the first"):
        detector.propose([noise(0), noise(0, 64)], [0.5, 0.5])
    with pytest.raises(ValueError, match="as many of each"):
        detector.propose([noise(0), noise(1)], [0.5])


@pytest.mark.parametrize("rgb", [True, False])
def test_the_blob_is_what_opencv_makes(rgb: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The fast way into reused arrays gives the numbers that `blobFromImage` gives."""
    canvas = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    blob = np.empty((3, 64, 96), np.float32)
    fill_blob(canvas, np.empty((3, 64, 96), np.uint8), blob, InputScaling(rgb, 127.5, 1 / 128))
    expected = cv2.dnn.blobFromImage(canvas, 1 / 128, (96, 64), (127.5, 127.5, 127.5), swapRB=rgb)[0]
    np.testing.assert_allclose(blob, expected, atol=1e-6)


def test_other_files_are_refused(tmp_path: Path) -> None:
    """A file that is no network, and a network of another family, are named at start."""
    broken = tmp_path / "scrfd.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(BadWeights, match=r"scrfd\.onnx"):
        load_detector(load_manifest()["scrfd_10g"], broken, CPU)
    onnx.save(scrfd_export("official"), broken)
    with pytest.raises(BadWeights, match="outputs"):
        load_detector(load_manifest()["yunet"], broken, CPU)
    with pytest.raises(BadWeights, match="family 'sface'"):
        load_detector(load_manifest()["sface"], broken, CPU)


def test_names_of_variants() -> None:
    """A name may mean a network or a variant of it."""
    manifest = load_manifest()
    assert find_detector(manifest, "yunet") == (manifest["yunet"], None)
    assert find_detector(manifest, "scrfd_2.5g_int8") == (manifest["scrfd_2.5g"], "int8")
    with pytest.raises(UnknownNetwork):
        find_detector(manifest, "yunet_int4")


def test_yunet_finds_the_group(weights_store: Store, group_photo_path: Path) -> None:
    """All six people are found, and every point lies within its face's box."""
    network = load_manifest()["yunet"]
    detector = load_detector(network, weights_store.path(network), CPU)
    assert detector.max_batch > 1
    canvas, _ = canvas_of(group_photo_path)
    assert canvas.shape == (448, 640, 3)
    faces = suppress(detector.propose([canvas], [0.7])[0].faces, 0.4)
    assert len(faces) == 6
    assert faces.points is not None
    low, high = faces.boxes[:, None, :2], faces.boxes[:, None, 2:]
    assert ((faces.points > low) & (faces.points < high)).all()
    eyes_left_to_right = faces.points[:, 0, 0] < faces.points[:, 1, 0]
    assert eyes_left_to_right.all()
    assert (faces.points[:, :2, 1].mean(axis=1) < faces.points[:, 3:, 1].mean(axis=1)).all()


def test_yunet_finds_nobody_in_a_cat(weights_store: Store, cat_path: Path) -> None:
    """A cat is no person."""
    network = load_manifest()["yunet"]
    detector = load_detector(network, weights_store.path(network), CPU)
    assert len(detector.propose([canvas_of(cat_path)[0]], [0.7])[0].faces) == 0


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401 - a class without types
    """Return the reference's own SCRFD class, out of its wheel: opened, not installed."""
    folder = CACHE / "test-media"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        wheel = fetch_wheel(GROUP.requirement, folder, Silent())
    package = tmp_path_factory.mktemp("reference") / "reference_scrfd"
    package.mkdir()
    (package / "__init__.py").touch()
    with zipfile.ZipFile(wheel) as zipped:
        for module in ("scrfd.py", "coreml_cache.py", "onnxruntime_utils.py"):
            (package / module).write_bytes(zipped.read(f"insightface/model_zoo/{module}"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(package.parent))
        return importlib.import_module("reference_scrfd.scrfd").SCRFD


def assert_parity(reference: Any, file: Path, photo: Path) -> None:  # noqa: ANN401 - a class without types
    """Compare both on one photo in the same square letterbox."""
    theirs = reference(model_file=str(file))
    theirs.prepare(-1, nms_thresh=0.4, det_thresh=0.5)
    boxes, points = theirs.detect(cv2.imread(str(photo)), input_size=(640, 640))
    detector = load_detector(load_manifest()["scrfd_500m"], file, CPU)
    canvas, scale = canvas_of(photo, square=True)
    ours = suppress(detector.propose([canvas], [0.5])[0].faces.scaled(1 / scale), 0.4)
    assert len(ours) == len(boxes) > 0
    np.testing.assert_allclose(ours.scores, boxes[:, 4], atol=1e-5)
    np.testing.assert_allclose(ours.boxes, boxes[:, :4], atol=1e-3)
    assert ours.points is not None
    np.testing.assert_allclose(ours.points, points, atol=1e-3)


@pytest.mark.parametrize("layout", ["official", "reexported"])
def test_parity_with_the_reference_on_made_up_weights(
    reference: Any,  # noqa: ANN401 - a class without types
    layout: Layout,
    tmp_path: Path,
    group_photo_path: Path,
) -> None:
    """Boxes, scores and points are the reference's to a thousandth of a pixel, on every layout."""
    file = tmp_path / "scrfd.onnx"
    onnx.save(scrfd_export(layout), file)
    assert_parity(reference, file, group_photo_path)


@pytest.mark.parametrize("pattern", ["*500m*.onnx", "*2.5g*.onnx", "*10g*.onnx"])
def test_parity_with_the_reference(
    reference: Any,  # noqa: ANN401 - a class without types
    pattern: str,
    group_photo_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """The same with the real weights, which may not be kept here: where a folder has them."""
    named = os.environ.get("FACE_API_MODELS_DIR")
    folder = Path(named) if named else request.getfixturevalue("testdata") / "weights"
    files = sorted(folder.glob(pattern))
    if not files:
        pytest.skip(f"no {pattern} in {folder}; FACE_API_MODELS_DIR names another folder")
    assert_parity(reference, files[0], group_photo_path)
