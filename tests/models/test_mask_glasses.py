"""The two networks of this project: what they are fed, what they answer on faces, drawn masks, nonsense."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from models.detectors import load_detector
from models.errors import BadWeights
from models.manifest import load_manifest
from models.mask_glasses import (
    GLASSES_CROP,
    MASK_CROP,
    WearingNetwork,
    load_wearing_network,
)
from models.session import RuntimeOptions
from pipelines.align import FaceCrop, align
from pipelines.boxes import suppress
from pipelines.face_values import WEARS
from pipelines.ports import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from models.store import Store

WEIGHTS = Path(__file__).resolve().parents[2] / "models" / "weights"
CPU = RuntimeOptions(device="cpu")
CROPS = {"mask": MASK_CROP, "glasses": GLASSES_CROP}

#: Where YuNet finds the five points of the six faces of the group photo and of the portrait.
GROUP_POINTS = np.array(
    [
        [[86.6, 321.1], [137.5, 311.2], [117.7, 340.1], [100.9, 363.6], [146.3, 355.4]],
        [[282.8, 207.0], [322.4, 193.5], [299.5, 230.4], [306.9, 252.7], [338.2, 241.4]],
        [[488.3, 323.0], [540.1, 329.7], [507.2, 354.8], [484.0, 372.3], [529.0, 378.7]],
        [[766.6, 401.4], [809.3, 403.6], [776.5, 428.0], [768.6, 446.2], [805.7, 447.1]],
        [[921.0, 121.2], [946.4, 116.9], [920.6, 150.4], [934.7, 172.0], [959.2, 166.8]],
        [[1142.9, 321.2], [1190.3, 320.0], [1160.8, 340.4], [1149.0, 363.3], [1190.0, 362.3]],
    ],
    np.float32,
)
PORTRAIT_POINTS = np.array(
    [[[200.1, 101.8], [247.1, 102.6], [220.4, 124.5], [198.6, 142.8], [239.7, 143.6]]], np.float32
)


class FakeSession:
    """Answers how many crops it saw and remembers them."""

    def __init__(self) -> None:
        self.seen: list[NDArray[np.uint8]] = []

    def run(self, output_names: Sequence[str], input_feed: Mapping[str, NDArray[np.uint8]]) -> Sequence[Any]:
        """Answer a rising row of numbers."""
        assert list(output_names) == ["probabilities"]
        self.seen.append(input_feed["crops"])
        return [np.linspace(0, 1, len(input_feed["crops"]), dtype=np.float32)]


@pytest.fixture(scope="module", params=sorted(CROPS))
def task(request: pytest.FixtureRequest) -> str:
    """Name either network."""
    return str(request.param)


@pytest.fixture(scope="module")
def network(task: str) -> WearingNetwork:
    """Load that network."""
    return load_wearing_network(WEIGHTS / f"{task}.onnx", CROPS[task], CPU)


@pytest.fixture
def mask_network() -> WearingNetwork:
    """Load the mask network."""
    return load_wearing_network(WEIGHTS / "mask.onnx", MASK_CROP, CPU)


@pytest.fixture
def glasses_network() -> WearingNetwork:
    """Load the glasses network."""
    return load_wearing_network(WEIGHTS / "glasses.onnx", GLASSES_CROP, CPU)


def read(path: Path) -> NDArray[np.uint8]:
    """Read a picture as the pipeline holds it."""
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), np.uint8)


def cut(picture: NDArray[np.uint8], points: NDArray[np.float32], crop: FaceCrop) -> NDArray[np.uint8]:
    """Cut the crops that a network looks at."""
    return align(picture, points, crop.template, crop.size)


def with_masks(
    picture: NDArray[np.uint8], points: NDArray[np.float32], colour: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Draw a cloth from the bridge of the nose to under the chin over each face."""
    masked: NDArray[np.uint8] = picture.copy()
    for left_eye, right_eye, nose, left_mouth, right_mouth in points:
        eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
        across, down = right_eye - left_eye, mouth - eyes
        bridge = eyes + 0.35 * (nose - eyes)
        outline = [
            bridge,
            eyes + 0.9 * across + 0.45 * down,
            mouth + 0.75 * across + 0.3 * down,
            mouth + 0.25 * across + 0.85 * down,
            mouth - 0.25 * across + 0.85 * down,
            mouth - 0.75 * across + 0.3 * down,
            eyes - 0.9 * across + 0.45 * down,
        ]
        cv2.fillPoly(masked, [np.array(outline).astype(np.int32)], colour, cv2.LINE_AA)
    return masked


def with_sunglasses(picture: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw two dark lenses and what joins them over each face."""
    wearing: NDArray[np.uint8] = picture.copy()
    for left_eye, right_eye, *_ in points:
        across = right_eye - left_eye
        wide = float(np.linalg.norm(across))
        angle = float(np.degrees(np.arctan2(across[1], across[0])))
        axes = (int(0.42 * wide), int(0.3 * wide))
        for eye in (left_eye, right_eye):
            low = eye + 0.08 * np.array([-across[1], across[0]])
            cv2.ellipse(wearing, low.astype(int).tolist(), axes, angle, 0, 360, (25, 20, 20), -1, cv2.LINE_AA)
        ends = [
            (left_eye - 0.9 * across).astype(int).tolist(),
            (right_eye + 0.9 * across).astype(int).tolist(),
        ]
        cv2.line(wearing, ends[0], ends[1], (25, 20, 20), max(2, int(0.06 * wide)), cv2.LINE_AA)
    return wearing


def test_crops_reach_the_session_as_they_are() -> None:
    """The adapter hands uint8 crops on unchanged and answers one number each."""
    session = FakeSession()
    crops = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), np.uint8)
    answers = WearingNetwork(session, MASK_CROP).probabilities(crops)
    assert answers.tolist() == [0.0, 0.5, 1.0]
    assert session.seen[0] is crops


def test_no_faces_run_nothing() -> None:
    """For zero crops the answer is empty and the network stays idle."""
    session = FakeSession()
    answers = WearingNetwork(session, GLASSES_CROP).probabilities(np.zeros((0, 64, 128, 3), np.uint8))
    assert answers.shape == (0,)
    assert session.seen == []


@pytest.mark.parametrize(
    "crops",
    [
        pytest.param(np.zeros((1, 128, 64, 3), np.uint8), id="sides swapped"),
        pytest.param(np.zeros((1, 64, 128, 3), np.float32), id="float"),
        pytest.param(np.zeros((64, 128, 3), np.uint8), id="no batch"),
    ],
)
def test_crops_of_another_form_are_refused(crops: NDArray[np.uint8]) -> None:
    """A wrong shape or type is a clear error, not a wrong answer."""
    with pytest.raises(ValueError, match=r"uint8 \[N, 64, 128, 3\] expected"):
        WearingNetwork(FakeSession(), GLASSES_CROP).probabilities(crops)


def test_the_other_networks_weights_are_refused() -> None:
    """A file that takes other crops is refused when it is opened."""
    with pytest.raises(BadWeights, match=r"mask\.onnx is not such a network"):
        load_wearing_network(WEIGHTS / "mask.onnx", GLASSES_CROP, CPU)


def test_a_batch_answers_as_single_crops_do(network: WearingNetwork, group_photo_path: Path) -> None:
    """Faces judged together get what each gets alone."""
    crops = cut(read(group_photo_path), GROUP_POINTS, network.crop)
    alone = [float(network.probabilities(crop[None])[0]) for crop in crops]
    np.testing.assert_allclose(network.probabilities(crops), alone, atol=1e-5)


def test_bare_faces_wear_nothing(task: str, network: WearingNetwork, group_photo_path: Path) -> None:
    """None of the six people in the group photo wears a mask or glasses."""
    threshold = WEARS[Reading(task)]
    found = network.probabilities(cut(read(group_photo_path), GROUP_POINTS, network.crop))
    assert (found < threshold).all(), found


def test_a_smiling_portrait_wears_nothing(network: WearingNetwork, portrait_path: Path) -> None:
    """A bare face in bright light is not near either threshold."""
    (found,) = network.probabilities(cut(read(portrait_path), PORTRAIT_POINTS, network.crop))
    assert found < 0.3


@pytest.mark.parametrize(
    "colour",
    [
        pytest.param((225, 200, 150), id="light blue"),
        pytest.param((240, 240, 240), id="white"),
        pytest.param((30, 30, 30), id="black"),
    ],
)
def test_drawn_masks_are_seen(
    mask_network: WearingNetwork, group_photo_path: Path, colour: tuple[int, int, int]
) -> None:
    """A cloth drawn over nose, mouth and chin of each of six faces is called a mask on at least five."""
    picture = with_masks(read(group_photo_path), GROUP_POINTS, colour)
    found = mask_network.probabilities(cut(picture, GROUP_POINTS, MASK_CROP))
    assert (found >= WEARS[Reading.MASK]).sum() >= 5, found


def test_drawn_sunglasses_are_seen(glasses_network: WearingNetwork, group_photo_path: Path) -> None:
    """Dark lenses drawn over the eyes of each of six faces are called glasses on at least five."""
    picture = with_sunglasses(read(group_photo_path), GROUP_POINTS)
    found = glasses_network.probabilities(cut(picture, GROUP_POINTS, GLASSES_CROP))
    assert (found >= WEARS[Reading.GLASSES]).sum() >= 5, found


def test_a_mask_is_not_glasses(glasses_network: WearingNetwork, group_photo_path: Path) -> None:
    """A mask's upper edge under the eyes is not taken for a rim."""
    picture = with_masks(read(group_photo_path), GROUP_POINTS, (235, 235, 235))
    found = glasses_network.probabilities(cut(picture, GROUP_POINTS, GLASSES_CROP))
    assert (found < WEARS[Reading.GLASSES]).sum() >= 5, found


def test_masked_crowds_are_called_masked(
    mask_network: WearingNetwork, testdata: Path, weights_store: Store
) -> None:
    """Of the faces of 40 pixels and more in photos where all wear masks, nine in ten are called masked."""
    yunet = load_manifest()["yunet"]
    detector = load_detector(yunet, weights_store.path(yunet), CPU)
    found = []
    for name in ("ulfg_img2.jpeg", "ulfg_img6.webp", "ulfg_img7.webp"):
        picture = read(testdata / "media" / "masked" / name)
        height = 1280 * picture.shape[0] // picture.shape[1]
        canvas = np.zeros((-(-height // 32) * 32, 1280, 3), np.uint8)
        canvas[:height] = cv2.resize(picture, (1280, height))
        faces = suppress(detector.propose([canvas], [0.6])[0].faces, 0.4)
        # Printed cloth has patterns that the detector takes for tiny faces.
        faces = faces.take(faces.boxes[:, 2] - faces.boxes[:, 0] >= 40)
        assert faces.points is not None
        found += mask_network.probabilities(cut(canvas, faces.points, MASK_CROP)).tolist()
    assert len(found) >= 35
    assert np.mean(np.array(found) >= WEARS[Reading.MASK]) >= 0.9, found


@pytest.mark.parametrize("level", [0, 128, 255])
def test_nonsense_gets_a_number_within_range(network: WearingNetwork, level: int) -> None:
    """Black, grey, white and noisy crops are answered by something from 0 to 1."""
    width, height = network.crop.size
    flat = np.full((1, height, width, 3), level, np.uint8)
    noisy = np.random.default_rng(level).integers(0, 256, flat.shape, np.uint8)
    found = network.probabilities(np.concatenate([flat, noisy]))
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()
