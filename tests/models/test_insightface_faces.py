"""InsightFace's landmarks and gender networks: fed and decoded as InsightFace's own classes do."""

from __future__ import annotations

import importlib
import sys
import types
import zipfile
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.attribute_networks import load_attribute_network
from models.listening import Silent
from models.manifest import load_manifest
from models.session import RuntimeOptions
from models.sources import fetch_wheel
from pipelines.crops import draw_crops, into_picture, placements, points_of
from tests.models.references import session
from tests.pictures import GROUP

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CPU = RuntimeOptions(device="cpu")
#: The portrait's face, as YuNet finds it.
BOX = np.array([[179.0, 63, 270, 174]], np.float32)


@pytest.mark.parametrize("scaled_inside", [True, False])
@pytest.mark.parametrize("name", ["2d106det", "genderage"])
def test_insightface_networks_are_fed_as_insightface_feeds_them(
    tmp_path: Path, portrait_path: Path, name: str, *, scaled_inside: bool
) -> None:
    """A stand-in with the outside of the real file: their class and our adapter tell the same of a face."""
    portrait = np.asarray(cv2.imread(str(portrait_path)), np.uint8)
    file = tmp_path / f"{name}.onnx"
    file.write_bytes(_stand_in(name, scaled_inside=scaled_inside))
    ours = load_attribute_network(load_manifest()[name], file, CPU)
    matrices = placements(ours.spec.crops[0], BOX, points_of(BOX))
    (row,) = ours.answer(draw_crops(portrait, matrices, ours.spec.crops[0].size))
    theirs = _insightface(tmp_path)
    face = theirs.Face(bbox=BOX[0])
    if name == "2d106det":
        expected = theirs.Landmark(str(file), session(str(file))).get(portrait, face)
        found = into_picture(row.reshape(1, 106, 2), matrices)[0]
        np.testing.assert_allclose(found, expected, atol=0.02)
        assert np.ptp(expected) > 1
    else:
        gender, age = theirs.Attribute(str(file), session(str(file))).get(portrait, face)
        assert round(float(row[0])) == age
        assert (row[1] > 0.5) == (gender == 0)


def _insightface(folder: Path) -> types.SimpleNamespace:
    """Return InsightFace's classes for faces; the transform that they take from scikit-image is ours."""
    with zipfile.ZipFile(fetch_wheel(GROUP.requirement, folder, Silent())) as wheel:
        wanted = ("model_zoo/attribute.py", "model_zoo/landmark.py", "model_zoo/onnxruntime_utils.py")
        found = [name for name in wheel.namelist() if name.endswith(wanted)]
        wheel.extractall(folder, found)

    def transform(
        data: Any,  # noqa: ANN401 - as theirs
        center: Any,  # noqa: ANN401 - as theirs
        output_size: int,
        scale: float,
        rotation: float,
    ) -> tuple[Any, Any]:
        assert rotation == 0
        shift = [output_size / 2 - place * scale for place in center]
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        return cv2.warpAffine(data, matrix, (output_size, output_size), borderValue=0.0), matrix

    def trans_points(points: Any, matrix: Any) -> Any:  # noqa: ANN401 - as theirs
        return points @ matrix[:, :2].T + matrix[:, 2]

    before = dict(sys.modules)
    for name in ("insightface", "insightface.model_zoo", "insightface.utils", "insightface.data"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(folder / name.replace(".", "/"))]
    align = types.SimpleNamespace(transform=transform, trans_points=trans_points)
    vars(sys.modules["insightface.utils"]).update(face_align=align, transform=None)
    vars(sys.modules["insightface.data"]).update(get_object=None)
    try:
        attribute = importlib.import_module("insightface.model_zoo.attribute")
        landmark = importlib.import_module("insightface.model_zoo.landmark")
    finally:
        for name in set(sys.modules) - set(before):
            if name.split(".")[0] == "insightface":
                del sys.modules[name]

    class Face(dict[str, Any]):
        """Their face: a dictionary whose box is an attribute as well."""

        @property
        def bbox(self) -> Any:  # noqa: ANN401 - as theirs
            return self["bbox"]

    return types.SimpleNamespace(Face=Face, Attribute=attribute.Attribute, Landmark=landmark.Landmark)


def _stand_in(name: str, *, scaled_inside: bool) -> bytes:
    """Return a network with the outside of an InsightFace file: means of patches through random weights."""
    side, width = (192, 212) if name == "2d106det" else (96, 3)
    random = np.random.default_rng(5)
    weights = random.normal(0, 0.02, (3 * 16, width)).astype(np.float32)
    bias = np.array([0.1, 0.0, 0.35], np.float32) if width == 3 else np.zeros(width, np.float32)
    constants: dict[str, NDArray[Any]] = {
        "mean": np.array(127.5, np.float32),
        "scale": np.array(1 / 128, np.float32),
        "flat": np.array([0, -1], np.int64),
        "weights": weights,
        "bias": bias,
    }
    nodes = [
        helper.make_node("Sub", ["data", "mean"], ["centred"], name="Sub0"),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"], name="Mul0"),
    ]
    pooled = helper.make_node(
        "AveragePool",
        ["scaled" if scaled_inside else "data"],
        ["pooled"],
        name="pool0",
        kernel_shape=[side // 4] * 2,
        strides=[side // 4] * 2,
    )
    tail = [
        pooled,
        helper.make_node("Reshape", ["pooled", "flat"], ["rows"], name="reshape0"),
        helper.make_node("Gemm", ["rows", "weights", "bias"], ["fc1"], name="gemm0"),
    ]
    graph = helper.make_graph(
        (nodes if scaled_inside else []) + tail,
        name,
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["None", 3, side, side])],
        [helper.make_tensor_value_info("fc1", TensorProto.FLOAT, ["None", width])],
        [
            numpy_helper.from_array(array, key)
            for key, array in constants.items()
            if scaled_inside or key not in {"mean", "scale"}
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
