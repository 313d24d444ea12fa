"""8-bit variants: what agreement means, and that a variant without it is not kept."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper
from typer.testing import CliRunner

from cluster.cli import app
from models.detectors import build_detector, load_detector
from models.errors import WeightsMissing
from models.graph import relax
from models.manifest import load_manifest
from models.quantize import (
    Agreement,
    Disagreement,
    Limits,
    compare,
    head_nodes,
    name_nodes,
    quantize_detector,
    quantize_graph,
    split_pictures,
)
from models.session import RuntimeOptions
from models.store import Store
from pipelines.errors import InvalidOption
from pipelines.faces import Faces
from pipelines.ports import DetectorSpec, Proposals
from tests.fakes.scrfd import scrfd_export

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

CPU = RuntimeOptions(device="cpu")
CANVAS = np.zeros((64, 64, 3), np.uint8)
FEW = Limits(faces=5)

# The library's own use of NumPy and of ONNX; nothing here can mend it.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


class Answering:
    """A detector that answers what it is told to."""

    max_batch = 1
    spec = DetectorSpec("answering", (64, 64), has_points=False)

    def __init__(self, *found: tuple[float, float, float]) -> None:
        """Find squares of 40 pixels at x, y with a score each."""
        boxes = np.array([(x, y, x + 40, y + 40) for x, y, _ in found], np.float32).reshape(-1, 4)
        self._faces = Faces(boxes, np.array([score for *_, score in found], np.float32), None)

    def propose(self, canvases: Sequence[NDArray[np.uint8]], confidences: Sequence[float]) -> list[Proposals]:
        """Answer for the one canvas."""
        assert len(canvases) == 1
        faces = self._faces.take(self._faces.scores >= confidences[0])
        return [Proposals(faces, 0, 0, 0, 1)]


def agreement(exact: Answering, rounded: Answering) -> Agreement:
    """Compare on one canvas."""
    return compare(exact, rounded, [CANVAS])


def test_the_same_answers_agree() -> None:
    """Equal faces are a recall, a precision and an overlap of one."""
    exact = Answering((0, 0, 0.9), (100, 0, 0.7))
    assert agreement(exact, exact) == Agreement(1, 2, 1.0, 1.0, 1.0, 0.0)


def test_a_lost_face_costs_recall_and_an_invented_one_precision() -> None:
    """Only faces that one side is sure of count; those near the threshold may come and go."""
    exact = Answering((0, 0, 0.9), (100, 0, 0.7), (200, 0, 0.55))
    lost = agreement(exact, Answering((0, 0, 0.9)))
    assert (lost.faces, lost.recall, lost.precision) == (2, 0.5, 1.0)
    invented = agreement(exact, Answering((0, 0, 0.9), (100, 0, 0.52), (300, 0, 0.8)))
    assert (invented.recall, invented.precision) == (1.0, 0.5)


def test_a_moved_box_costs_overlap() -> None:
    """The overlap of matched boxes is measured, and one that moved too far is another face."""
    exact = Answering((0, 0, 0.9))
    assert 0.8 < agreement(exact, Answering((3, 0, 0.9))).mean_iou < 0.9
    assert agreement(exact, Answering((30, 0, 0.9))).recall == 0


@pytest.mark.parametrize("name", ["faces", "recall", "precision", "mean_iou", "point_error"])
def test_each_limit_holds(name: str) -> None:
    """Whatever falls short is named."""
    values = {"faces": 60, "recall": 1.0, "precision": 1.0, "mean_iou": 1.0, "point_error": 0.0}
    assert Limits().broken_by(Agreement(pictures=9, **values)) == []  # type: ignore[arg-type] # faces is an int
    values[name] = 0.5
    (broken,) = Limits().broken_by(Agreement(pictures=9, **values))  # type: ignore[arg-type] # as above
    assert broken.startswith(f"{name} 0.5")


def test_heads_are_the_last_convolutions_and_what_follows() -> None:
    """Nothing of the backbone is a head, even where the exporter gave no names to nodes."""
    graph = name_nodes(relax(scrfd_export("official"))).graph
    assert set(head_nodes(graph)) == {node.name for node in graph.node}
    backbone = helper.make_node("Conv", ["input.1", "stem"], ["deep"], name="backbone")
    for node in graph.node:
        if node.op_type == "Conv":
            node.input[0] = "deep"
    graph.node.insert(0, backbone)
    assert set(head_nodes(graph)) == {node.name for node in graph.node} - {"backbone"}


def test_pictures_are_held_out(tmp_path: Path) -> None:
    """Without a folder to check on every third picture is; with one, all are learnt from."""
    for number in range(6):
        (tmp_path / f"{number}.JPG").touch()
    (tmp_path / "notes.txt").touch()
    learnt, held_out = split_pictures(tmp_path, None)
    assert [path.stem for path in learnt] == ["0", "1", "3", "4"]
    assert [path.stem for path in held_out] == ["2", "5"]
    assert len(split_pictures(tmp_path, tmp_path)[0]) == 6


def test_yunet_in_8_bits_finds_the_same_faces(
    weights_store: Store, group_photo_path: Path, portrait_path: Path, tmp_path: Path
) -> None:
    """It is a network of 8-bit convolutions and float heads, takes batches and passes the check."""
    network = load_manifest()["yunet"]
    mirrored = tmp_path / "mirrored.png"
    cv2.imwrite(str(mirrored), cv2.flip(np.asarray(cv2.imread(str(group_photo_path)), np.uint8), 1))
    made = quantize_detector(
        network, weights_store.path(network), [mirrored, portrait_path], [group_photo_path], FEW
    )
    assert made.agreement.faces == 6
    assert made.agreement.recall == 1.0
    graph = onnx.load_from_string(made.data).graph
    inputs = {node.output[0]: node.op_type for node in graph.node}
    kinds = [inputs.get(node.input[0]) for node in graph.node if node.op_type == "Conv"]
    assert kinds.count("DequantizeLinear") > len(kinds) / 2
    file = tmp_path / "yunet.int8.onnx"
    file.write_bytes(made.data)
    detector = load_detector(network, file, CPU, "int8")
    assert detector.spec.name == "yunet_int8"
    assert detector.max_batch > 1


def test_pictures_to_check_on_must_be_others(group_photo_path: Path, weights_store: Store) -> None:
    """Checking on what was learnt from, or on nothing, proves nothing."""
    network = load_manifest()["yunet"]
    path = weights_store.path(network)
    for check in ([group_photo_path], []):
        with pytest.raises(InvalidOption):
            quantize_detector(network, path, [group_photo_path], check)


def test_a_network_that_disagrees_is_not_made(
    weights_store: Store, group_photo_path: Path, portrait_path: Path
) -> None:
    """A limit that is not reached is an error that says which."""
    network = load_manifest()["yunet"]
    with pytest.raises(Disagreement, match=r"mean_iou 0\.\d+ is below 0\.9999"):
        quantize_detector(
            network,
            weights_store.path(network),
            [portrait_path],
            [group_photo_path],
            Limits(faces=5, mean_iou=0.9999),
        )


def test_the_command_keeps_only_what_passed(
    weights_store: Store, group_photo_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few faces to judge by: exit 1, a reason, no variant. Enough: a variant and its record."""
    monkeypatch.setenv("FACE_API_HOME", str(tmp_path))
    network = load_manifest()["yunet"]
    store = Store(tmp_path / "models", weights_store.path(network).parent)
    store.pull(network)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        shutil.copy(group_photo_path, photos / f"{number}.jpg")
    command = ["models", "quantize", "yunet", "--calibration", str(photos)]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 1
    assert "faces 6 is below 50" in refused.output
    with pytest.raises(WeightsMissing):
        store.path(network, "int8")
    for number in range(3, 30):
        shutil.copy(group_photo_path, photos / f"{number:02}.jpg")
    kept = CliRunner().invoke(app, command)
    assert kept.exit_code == 0, kept.output
    file = store.path(network, "int8")
    report = json.loads(file.with_name(f"{file.name}.check.json").read_text())
    assert report["agreement"]["recall"] >= report["limits"]["recall"]


def test_a_synthetic_export_can_be_quantised_whatever_its_layout(tmp_path: Path) -> None:
    """Old opsets are raised, and a network of heads alone stays as it is."""
    picture = tmp_path / "noise.png"
    cv2.imwrite(str(picture), np.random.default_rng(2).integers(0, 256, (64, 96, 3), np.uint8))
    data = quantize_graph(relax(scrfd_export("official")), "scrfd", (96, 64), [picture])
    detector = build_detector("synthetic", "scrfd", data, (96, 64), CPU)
    exact = build_detector(
        "synthetic", "scrfd", relax(scrfd_export("official")).SerializeToString(), (96, 64), CPU
    )
    ours, theirs = (
        each.propose([np.asarray(cv2.imread(str(picture)), np.uint8)], [0.3]) for each in (exact, detector)
    )
    np.testing.assert_allclose(ours[0].faces.boxes, theirs[0].faces.boxes, atol=1e-2)
