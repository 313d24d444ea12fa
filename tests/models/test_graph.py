"""Repairs of graphs, and the proof that a batch is its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import TensorProto, helper

from models.graph import prove_batching, relax
from models.session import RuntimeOptions, open_session
from tests.fakes.scrfd import Layout, scrfd_export

if TYPE_CHECKING:
    import onnx
    import onnxruntime
    from numpy.typing import NDArray

CPU = RuntimeOptions(device="cpu")


def opened(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Open a network on the CPU."""
    return open_session(model.SerializeToString(), CPU)


def pictures(count: int, height: int = 64, width: int = 96) -> NDArray[np.float32]:
    """Return inputs that all differ."""
    return np.random.default_rng(3).normal(0, 1, (count, 3, height, width)).astype(np.float32)


def small_network(operator: str, axis: int | None = None) -> onnxruntime.InferenceSession:
    """Open a network of one operator over a free batch."""
    node = helper.make_node(operator, ["x"], ["y"])
    if axis is not None:
        node.attribute.append(helper.make_attribute("axis", axis))
    feed = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "small", [feed], [answer])
    return opened(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8))


@pytest.mark.parametrize("layout", ["official", "reexported"])
def test_a_freed_export_answers_as_before(layout: Layout) -> None:
    """One picture of the size that the export was made for gets the same rows in the same order."""
    picture = pictures(1, 640, 640)
    before = opened(scrfd_export(layout)).run(None, {"input.1": picture})
    after = opened(relax(scrfd_export(layout))).run(None, {"input.1": picture})
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new.reshape(old.shape), old, atol=1e-5)


@pytest.mark.parametrize("layout", ["official", "reexported"])
def test_a_freed_export_takes_batches(layout: Layout) -> None:
    """Row i of a batch's outputs is what picture i gives alone, and that is proven, not assumed."""
    assert prove_batching(opened(relax(scrfd_export(layout))), pictures(4))


def test_an_official_export_as_published_is_refused() -> None:
    """It takes one picture only, so there is nothing to prove."""
    assert not prove_batching(opened(scrfd_export("official")), pictures(2))


def test_a_flattened_batch_that_cannot_be_undone_is_refused() -> None:
    """A batch in one long list of rows is not taken for a batch of pictures."""
    assert not prove_batching(opened(relax(scrfd_export("stubborn"))), pictures(2))


def test_pictures_that_leak_into_each_other_are_refused() -> None:
    """A network that looks along the batch gives the right shapes and the wrong values."""
    assert prove_batching(small_network("Relu"), pictures(3))
    assert not prove_batching(small_network("Softmax", axis=0), pictures(3))


@pytest.mark.parametrize("count", [1, 2])
def test_a_proof_needs_pictures_that_differ(count: int) -> None:
    """Equal pictures would pass whatever their order became."""
    with pytest.raises(ValueError, match="different"):
        prove_batching(small_network("Relu"), np.repeat(pictures(1), count, axis=0))


def test_weights_listed_as_inputs_are_not_inputs() -> None:
    """Old exports list every weight, and inputs that nothing reads; only the picture is left."""
    model = scrfd_export("official")
    model.graph.input.append(helper.make_tensor_value_info("zero", TensorProto.FLOAT, [1]))
    model.graph.input.append(helper.make_tensor_value_info("nobody", TensorProto.FLOAT, [1]))
    freed = relax(model)
    assert [value.name for value in freed.graph.input] == ["input.1"]
    assert len(model.graph.input) == 3, "the network that was passed in is left as it was"
