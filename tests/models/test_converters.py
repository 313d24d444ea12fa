"""Converted networks answer as the originals do, measured against programs of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from models.converters import CONVERTERS, convert
from models.errors import BadWeights
from models.graph_writing import same_padding
from models.manifest import load_manifest
from tests.models.references import (
    EMOTION_INPUT,
    MESH_INPUT,
    RECORDED,
    SFACE_INPUT,
    Floats,
    opencv_mesh,
    pattern,
    published_sface,
    session,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from models.store import Store

    SourceBytes = Callable[[str], bytes]

INPUTS = {"facemesh": MESH_INPUT, "emotion": EMOTION_INPUT, "sface": SFACE_INPUT}


def recorded(name: str) -> Floats:
    """Return what the original answered to the input of that name."""
    with np.load(RECORDED / "converters.npz") as arrays:
        output: Floats = arrays[name]
    return output


def answer(store: Store, name: str, picture: Floats) -> list[Floats]:
    """Run an installed network."""
    network = session(str(store.path(load_manifest()[name])))
    outputs: list[Floats] = network.run(None, {network.get_inputs()[0].name: picture})
    return outputs


def worst(got: Floats, wanted: Floats) -> float:
    """Return the largest difference as a part of the wanted range."""
    assert got.shape == wanted.shape
    return float(np.abs(got - wanted).max() / np.ptp(wanted))


@pytest.mark.parametrize(("name", "tolerance"), [("facemesh", 1e-4), ("emotion", 1e-4), ("sface", 1e-6)])
def test_installed_networks_answer_as_recorded(weights_store: Store, name: str, tolerance: float) -> None:
    """The first output equals the recorded one of another program."""
    assert worst(answer(weights_store, name, INPUTS[name])[0], recorded(name)) < tolerance


def test_the_mesh_equals_another_reader_of_the_same_file(
    weights_store: Store, source_bytes: SourceBytes
) -> None:
    """OpenCV reads the TFLite file itself and finds the same 468 points for other inputs too."""
    data = source_bytes("facemesh")
    for picture in (np.zeros((1, 192, 192, 3), np.float32), pattern(1, 192, 192, 3, low=0.2, high=0.4)):
        got = answer(weights_store, "facemesh", picture)
        assert worst(got[0], opencv_mesh(data, picture)) < 1e-4
        assert got[1].shape == (1, 1)


def test_folding_changes_no_embedding(weights_store: Store, source_bytes: SourceBytes) -> None:
    """The folded embedding network equals the published one to a millionth."""
    data = source_bytes("sface")
    for low, high in ((0.0, 255.0), (90.0, 140.0)):
        picture = pattern(1, 3, 112, 112, low=low, high=high)
        assert worst(answer(weights_store, "sface", picture)[0], published_sface(data, picture)) < 1e-6


def test_folded_weights_are_neither_inputs_nor_computed(weights_store: Store) -> None:
    """Only the picture is an input, and no weight is expanded at run time."""
    graph = onnx.load(weights_store.path(load_manifest()["sface"])).graph
    assert [value.name for value in graph.input] == ["data"]
    assert not {"DequantizeLinear", "Reshape"} & {node.op_type for node in graph.node}


@pytest.mark.parametrize("name", ["facemesh", "emotion"])
def test_a_batch_equals_its_pictures_one_by_one(weights_store: Store, name: str) -> None:
    """Converted networks take any number of pictures, and neighbours do not matter."""
    pictures = np.concatenate([INPUTS[name] * factor for factor in (1.0, 0.5, 0.25)]).astype(np.float32)
    together = answer(weights_store, name, pictures)
    for number, picture in enumerate(pictures):
        alone = answer(weights_store, name, picture[None])
        for batch, single in zip(together, alone, strict=True):
            np.testing.assert_allclose(batch[number], single[0], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ["facemesh", "emotion", "sface"])
def test_conversion_is_repeatable(source_bytes: SourceBytes, weights_store: Store, name: str) -> None:
    """The same source gives the same file, byte for byte."""
    network = load_manifest()[name]
    assert network.converter is not None
    assert convert(network.converter, source_bytes(name)) == weights_store.path(network).read_bytes()


@pytest.mark.parametrize("name", sorted(CONVERTERS))
@pytest.mark.parametrize("data", [b"", b"\x00" * 100, b"TFL3" * 64, b"\x89HDF\r\n\x1a\n" + b"x" * 500])
def test_foreign_bytes_are_bad_weights(name: str, data: bytes) -> None:
    """A converter that cannot read a file says so in one error, whatever its library raises."""
    with pytest.raises(BadWeights):
        convert(name, data)


def test_a_truncated_source_is_bad_weights(source_bytes: SourceBytes) -> None:
    """Half a file converts into no network."""
    for name in INPUTS:
        network, data = load_manifest()[name], source_bytes(name)
        assert network.converter is not None
        with pytest.raises(BadWeights):
            convert(network.converter, data[: len(data) // 2])


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads"),
    [(192, 3, 2, [0, 1]), (192, 3, 1, [1, 1]), (60, 1, 2, [0, 0]), (15, 3, 2, [1, 1]), (7, 5, 3, [2, 2])],
)
def test_padding_keeps_a_size_over_stride(size: int, kernel: int, stride: int, pads: list[int]) -> None:
    """As many windows fit into the padded side as the side has strides, the odd pixel behind."""
    before, after = same_padding([size], [kernel], [stride])
    assert [before, after] == pads
    assert (size + before + after - kernel) // stride + 1 == -(-size // stride)


def test_an_independent_export_of_the_emotion_network_agrees(weights_store: Store, testdata: Path) -> None:
    """Somebody else's export of the same network gives the same probabilities on further inputs."""
    reference = session(str(testdata / "weights" / "fer_reference.onnx"))
    for factor in (0.2, -0.7):
        picture = EMOTION_INPUT * np.float32(factor)
        wanted = reference.run(None, {"input": picture})[0]
        np.testing.assert_allclose(answer(weights_store, "emotion", picture)[0], wanted, atol=1e-5)
