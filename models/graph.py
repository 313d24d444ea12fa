"""Repairs of exported graphs, in memory: free the batch and the picture's size, and prove the batch.

Exports are usually traced with one picture of one size, and that size stays behind: in the input, in
constants of reshapes, in declared shapes of intermediate values. Nothing here trusts a repair:
`prove_batching` compares a batch with its pictures one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

#: How far a batch may be from its singles, relative to the range of the output's values.
BATCH_TOLERANCE = 1e-4

_SPATIAL_RANK = 4
_ELEMENTWISE = {"Sigmoid", "Relu", "Identity"}
_TO_ROWS = (0, 2, 3, 1)
_TO_INTERLEAVED_ROWS = [2, 3, 0, 1]


def relax_file(path: Path) -> bytes:
    """Read a network and return it with free batch and picture size, ready for a session."""
    data: bytes = relax(onnx.load(path)).SerializeToString()
    return data


def relax(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose first input and outputs have a free batch size, height and width."""
    freed = onnx.ModelProto()
    freed.CopyFrom(model)
    graph = freed.graph
    _drop_unread_inputs(graph)
    # Declared shapes of intermediate values would contradict the freed ones.
    del graph.value_info[:]
    _unflatten_outputs(graph)
    _free_reshapes(graph)
    _drop_unread_weights(graph)
    for value in graph.input:
        dims = value.type.tensor_type.shape.dim
        if len(dims) == _SPATIAL_RANK:
            for index, name in ((0, "batch"), (2, "height"), (3, "width")):
                dims[index].dim_param = name
    for value in graph.output:
        # Left to the runtime to infer: a stale size here only earns warnings at every run.
        value.type.tensor_type.ClearField("shape")
    return freed


def prove_batching(session: Any, pictures: NDArray[np.float32]) -> bool:  # noqa: ANN401 - untyped library
    """Tell whether a batch gives what its pictures give one by one.

    Args:
        session: of a network with one input.
        pictures: at least two different inputs, [N, ...].

    Raises:
        ValueError: the pictures are too few or all alike, which would prove nothing.
    """
    if len(pictures) < 2 or all(np.array_equal(pictures[0], other) for other in pictures[1:]):  # noqa: PLR2004 - two
        message = "a proof needs at least two different pictures"
        raise ValueError(message)
    name = session.get_inputs()[0].name
    try:
        together = session.run(None, {name: pictures})
    except Exception:  # noqa: BLE001 - a network that refuses a batch raises the runtime's own types
        return False
    alone = [session.run(None, {name: pictures[i : i + 1]}) for i in range(len(pictures))]
    return all(
        _same(output, [single[position] for single in alone]) for position, output in enumerate(together)
    )


def _same(output: NDArray[np.float32], singles: list[NDArray[np.float32]]) -> bool:
    """Tell whether row i of a batch's output is what picture i gave alone."""
    if any(single.ndim != output.ndim or len(single) != 1 for single in singles):
        return False
    expected = np.concatenate(singles)
    if output.shape != expected.shape:
        return False
    tolerance = BATCH_TOLERANCE * max(float(np.ptp(expected)), 1e-6)
    return bool(np.abs(output - expected).max(initial=0.0) <= tolerance)


def _drop_unread_inputs(graph: onnx.GraphProto) -> None:
    """Drop inputs that nothing reads and weights that are listed as inputs."""
    weights = {weight.name for weight in graph.initializer}
    read = {name for node in graph.node for name in node.input}
    kept = [value for value in graph.input if value.name not in weights and value.name in read]
    del graph.input[:]
    graph.input.extend(kept)


def _drop_unread_weights(graph: onnx.GraphProto) -> None:
    """Drop weights that nothing reads, of which the runtime would complain at every start."""
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    kept = [weight for weight in graph.initializer if weight.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _constants(graph: onnx.GraphProto) -> Mapping[str, NDArray[Any]]:
    """Return every constant that may be the shape of a reshape."""
    found = {
        weight.name: numpy_helper.to_array(weight)
        for weight in graph.initializer
        if weight.data_type == onnx.TensorProto.INT64
    }
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _free_reshapes(graph: onnx.GraphProto) -> None:
    """Turn a reshape to [1, ...] into one that keeps whatever batch comes in.

    With two sizes fixed, [1, 6400, 1], the middle one depends on the picture: it becomes -1.
    """
    constants = _constants(graph)
    for position, node in enumerate(graph.node):
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        shape = [int(size) for size in constants[node.input[1]]]
        if len(shape) != 3 or shape[0] != 1:  # noqa: PLR2004 - [batch, rows, values]
            continue
        _reshape_to(graph, node, [0, -1, shape[2]], f"freed_shape_{position}")


def _unflatten_outputs(graph: onnx.GraphProto) -> None:
    """Give a batch back to outputs of [rows, values], where the way they were flattened is known.

    InsightFace's own exports turn [N, A*C, H, W] to [H, W, N, A*C] and then to [-1, C], so pictures of
    a batch interleave. For one picture the rows are the same when the batch stays in front.
    """
    constants = _constants(graph)
    makers = {name: node for node in graph.node for name in node.output}
    for position, output in enumerate(graph.output):
        node = makers.get(output.name)
        while node is not None and node.op_type in _ELEMENTWISE:
            node = makers.get(node.input[0])
        if node is None or node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        shape = [int(size) for size in constants[node.input[1]]]
        if len(shape) != 2 or shape[0] != -1:  # noqa: PLR2004 - [rows, values]
            continue
        source = makers.get(node.input[0])
        while source is not None and source.op_type in _ELEMENTWISE:
            source = makers.get(source.input[0])
        if source is None or source.op_type != "Transpose":
            continue
        order = source.attribute[0].ints
        if list(order) == _TO_INTERLEAVED_ROWS:
            order[:] = _TO_ROWS
            _reshape_to(graph, node, [0, -1, shape[1]], f"unflattened_shape_{position}")


def _reshape_to(graph: onnx.GraphProto, node: onnx.NodeProto, shape: list[int], name: str) -> None:
    graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))
    node.input[1] = name
