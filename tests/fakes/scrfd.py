"""Tiny networks with the outside of SCRFD exports and fixed, random weights: every layout, no download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: `official` flattens the batch as InsightFace's files do, `reexported` keeps it but fixes it at one and
#: the size at 640, `stubborn` flattens it in a way that nobody can undo.
Layout = Literal["official", "reexported", "stubborn"]

_ANCHORS = 2
_KINDS = {"score": 1, "box": 4, "points": 10}


def scrfd_export(layout: Layout, *, points: bool = True, logits: bool = False) -> onnx.ModelProto:
    """Return such a network: three levels, each a convolution over whole cells for scores, boxes, points."""
    random = np.random.default_rng(7)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    outputs: list[onnx.ValueInfoProto] = []
    side: int | str = 640 if layout == "reexported" else "?"
    for kind, values in _KINDS.items():
        if kind == "points" and not points:
            continue
        for stride in (8, 16, 32):
            name = f"{kind}_{stride}"
            weights += _weights(random, name, _ANCHORS * values, stride)
            last = "Relu" if kind == "box" else "Sigmoid" if kind == "score" and not logits else "Identity"
            nodes += _nodes(layout, name, stride, last)
            weights.append(_array(f"{name}_shape", _row_shape(layout, values), np.int64))
            shape: list[str | int] = (
                ["rows", values] if layout != "reexported" else [1, 2 * (640 // stride) ** 2, values]
            )
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    weights.append(_array("zero", [0.0], np.float32))
    feed = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, side, side])
    graph = helper.make_graph(nodes, "scrfd", [feed], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8)


def _weights(random: np.random.Generator, name: str, channels: int, stride: int) -> list[onnx.TensorProto]:
    kernel = random.normal(0, 1.5 / stride, (channels, 3, stride, stride))
    return [
        _array(f"{name}_w", kernel, np.float32),
        _array(f"{name}_b", random.normal(0.5, 1, channels), np.float32),
    ]


def _nodes(layout: Layout, name: str, stride: int, last: str) -> list[onnx.NodeProto]:
    order = [0, 2, 3, 1] if layout == "reexported" else [2, 3, 0, 1]
    ending = (
        [
            helper.make_node(last, [f"{name}_rows"], [f"{name}_last"]),
            helper.make_node("Add", [f"{name}_last", "zero"], [name]),
        ]
        if layout == "stubborn"
        else [helper.make_node(last, [f"{name}_rows"], [name])]
    )
    return [
        helper.make_node(
            "Conv",
            ["input.1", f"{name}_w", f"{name}_b"],
            [f"{name}_map"],
            name=f"{name}_conv",
            kernel_shape=[stride, stride],
            strides=[stride, stride],
        ),
        helper.make_node(
            "Transpose", [f"{name}_map"], [f"{name}_turned"], name=f"{name}_transpose", perm=order
        ),
        helper.make_node(
            "Reshape", [f"{name}_turned", f"{name}_shape"], [f"{name}_rows"], name=f"{name}_reshape"
        ),
        *ending,
    ]


def _row_shape(layout: Layout, values: int) -> list[int]:
    return [1, -1, values] if layout == "reexported" else [-1, values]


def _array(name: str, values: object, dtype: type[np.generic]) -> onnx.TensorProto:
    array: NDArray[np.generic] = np.asarray(values, dtype)
    return numpy_helper.from_array(array, name)
