"""Writes ONNX graphs node by node, for the converters: names, weights and TensorFlow's padding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Attribute = int | float | str | Sequence[int]

_OPSET = 13
_IR_VERSION = 8  # What goes with that opset: runtimes of several years read it.


class GraphWriter:
    """Collects nodes and weights; float32 throughout, with a free batch size."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}

    def weight(self, name: str, array: NDArray[np.generic]) -> str:
        """Store an array and return the name to read it by."""
        self._weights[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Attribute) -> str:
        """Add a node and return its output's name."""
        node = helper.make_node(kind, list(inputs), [output], name=output)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self._nodes.append(node)
        return output

    def finish(
        self, name: str, inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, Sequence[int]]
    ) -> bytes:
        """Return the checked file; shapes are given without the batch."""
        graph = helper.make_graph(
            self._nodes,
            name,
            [_value(*each) for each in inputs.items()],
            [_value(*each) for each in outputs.items()],
            list(self._weights.values()),
        )
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(
            graph, opset_imports=opset, ir_version=_IR_VERSION, producer_name="facefleet"
        )
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))


def same_padding(sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Return ONNX pads for TensorFlow's `same`: the odd pixel goes to the bottom and the right.

    Example:
        >>> same_padding((192, 192), (3, 3), (2, 2))
        [0, 0, 1, 1]
    """
    totals = [
        max((-(-size // stride) - 1) * stride + side - size, 0)
        for size, side, stride in zip(sizes, kernel, strides, strict=True)
    ]
    return [total // 2 for total in totals] + [total - total // 2 for total in totals]


def _value(name: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])
