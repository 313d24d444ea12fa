"""Makes an ONNX file of a Keras HDF5 one whose layers are those of a small convolutional classifier.

Keras keeps channels last, ONNX's convolutions want them first: every weight is turned here and the input
becomes [N, C, H, W].
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from models.errors import BadWeights
from models.graph_writing import GraphWriter, same_padding

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_KERNEL = (3, 2, 0, 1)  # [H, W, in, out] -> [out, in, H, W]
_DEPTHWISE_KERNEL = (2, 3, 0, 1)  # [H, W, channels, 1] -> [channels, 1, H, W]


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer: its settings, the layers it reads, and its weights by their short names."""

    name: str
    config: dict[str, Any]
    inputs: list[str]
    weights: dict[str, NDArray[np.float32]]


def convert_keras(data: bytes) -> bytes:
    """Return the network with a free batch size; input is [N, C, H, W], outputs keep their shape."""
    with h5py.File(io.BytesIO(data), "r") as file:
        config = json.loads(file.attrs["model_config"])["config"]
        layers = [_layer(entry, file["model_weights"]) for entry in config["layers"]]
    conversion = _Conversion()
    for entry, layer in zip(config["layers"], layers, strict=True):
        conversion.add(entry["class_name"], layer)
    return conversion.finish([output[0] for output in config["output_layers"]])


def _layer(entry: dict[str, Any], stored: Any) -> _Layer:  # noqa: ANN401 - h5py has no types
    """Read one layer of the model's description and its weights."""
    name = entry["name"]
    inbound = entry["inbound_nodes"]
    if len(inbound) > 1:
        message = f"layer {name} is used more than once"
        raise BadWeights(message)
    names = [str(weight, "utf-8") for weight in stored[name].attrs["weight_names"]]
    weights = {_short(weight): np.asarray(stored[name][weight], np.float32) for weight in names}
    return _Layer(name, entry["config"], [node[0] for nodes in inbound for node in nodes], weights)


def _short(weight: str) -> str:
    """Return `kernel` of `conv2d_1_1/kernel:0`."""
    return weight.rsplit("/", 1)[-1].removesuffix(":0")


class _Conversion:
    """Adds layer after layer, keeping each one's channels, height and width."""

    def __init__(self) -> None:
        self._writer = GraphWriter()
        self._inputs: dict[str, tuple[int, ...]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._kinds: dict[str, Callable[[_Layer], tuple[int, ...]]] = {
            "InputLayer": self._input,
            "Conv2D": self._convolution,
            "SeparableConv2D": self._separable,
            "BatchNormalization": self._normalisation,
            "Activation": self._activation,
            "MaxPooling2D": self._max_pooling,
            "Add": self._addition,
            "GlobalAveragePooling2D": self._average,
        }

    def add(self, kind: str, layer: _Layer) -> None:
        """Write one layer."""
        if kind not in self._kinds:
            message = f"layer {kind} is not supported"
            raise BadWeights(message)
        if layer.config.get("data_format", "channels_last") != "channels_last":
            message = f"layer {layer.name} does not keep channels last"
            raise BadWeights(message)
        self._shapes[layer.name] = self._kinds[kind](layer)

    def finish(self, outputs: list[str]) -> bytes:
        """Return the file."""
        return self._writer.finish("keras", self._inputs, {name: self._shapes[name] for name in outputs})

    def _input(self, layer: _Layer) -> tuple[int, ...]:
        _, height, width, channels = layer.config["batch_input_shape"]
        self._inputs[layer.name] = (channels, height, width)
        return self._inputs[layer.name]

    def _convolution(self, layer: _Layer) -> tuple[int, ...]:
        kernel = layer.weights["kernel"].transpose(_KERNEL)
        return self._convolve(layer, layer.inputs[0], layer.name, kernel)

    def _separable(self, layer: _Layer) -> tuple[int, ...]:
        depthwise = layer.weights["depthwise_kernel"].transpose(_DEPTHWISE_KERNEL)
        if layer.config["depth_multiplier"] != 1:
            message = f"layer {layer.name} multiplies channels"
            raise BadWeights(message)
        middle = f"{layer.name}/depthwise"
        inner = _Layer(middle, {**layer.config, "activation": "linear"}, layer.inputs, {})
        self._shapes[middle] = self._convolve(inner, layer.inputs[0], middle, depthwise, len(depthwise))
        pointwise = layer.weights["pointwise_kernel"].transpose(_KERNEL)
        outer = _Layer(layer.name, {**layer.config, "strides": (1, 1)}, [middle], layer.weights)
        return self._convolve(outer, middle, layer.name, pointwise)

    def _convolve(
        self, layer: _Layer, source: str, target: str, kernel: NDArray[np.float32], groups: int = 1
    ) -> tuple[int, ...]:
        """Write one convolution with the layer's settings."""
        config = layer.config
        if config["activation"] != "linear" or tuple(config["dilation_rate"]) != (1, 1):
            message = f"layer {layer.name} has an activation or a dilation"
            raise BadWeights(message)
        inputs = [source, self._writer.weight(f"{target}/kernel", kernel)]
        if "bias" in layer.weights:
            inputs.append(self._writer.weight(f"{target}/bias", layer.weights["bias"]))
        strides, sides = tuple(config["strides"]), kernel.shape[2:]
        pads, sizes = self._window(source, config["padding"], sides, strides)
        self._writer.node(
            "Conv", inputs, target, kernel_shape=sides, strides=strides, pads=pads, group=groups
        )
        return (len(kernel), *sizes)

    def _normalisation(self, layer: _Layer) -> tuple[int, ...]:
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        weights = [self._writer.weight(f"{layer.name}/{name}", layer.weights[name]) for name in names]
        epsilon = layer.config["epsilon"]
        self._writer.node("BatchNormalization", [layer.inputs[0], *weights], layer.name, epsilon=epsilon)
        return self._shapes[layer.inputs[0]]

    def _activation(self, layer: _Layer) -> tuple[int, ...]:
        kinds: dict[str, tuple[str, dict[str, int]]] = {
            "relu": ("Relu", {}),
            "softmax": ("Softmax", {"axis": 1}),
        }
        if layer.config["activation"] not in kinds:
            message = f"activation {layer.config['activation']} is not supported"
            raise BadWeights(message)
        kind, attributes = kinds[layer.config["activation"]]
        self._writer.node(kind, layer.inputs, layer.name, **attributes)
        return self._shapes[layer.inputs[0]]

    def _max_pooling(self, layer: _Layer) -> tuple[int, ...]:
        source, config = layer.inputs[0], layer.config
        sides, strides = tuple(config["pool_size"]), tuple(config["strides"])
        pads, sizes = self._window(source, config["padding"], sides, strides)
        self._writer.node("MaxPool", [source], layer.name, kernel_shape=sides, strides=strides, pads=pads)
        return (self._shapes[source][0], *sizes)

    def _addition(self, layer: _Layer) -> tuple[int, ...]:
        self._writer.node("Add", layer.inputs, layer.name)
        return self._shapes[layer.inputs[0]]

    def _average(self, layer: _Layer) -> tuple[int, ...]:
        pooled = self._writer.node("GlobalAveragePool", layer.inputs, f"{layer.name}/pooled")
        self._writer.node("Flatten", [pooled], layer.name, axis=1)
        return self._shapes[layer.inputs[0]][:1]

    def _window(
        self, source: str, padding: str, sides: tuple[int, ...], strides: tuple[int, ...]
    ) -> tuple[list[int], list[int]]:
        """Return the pads of a sliding window and the height and width that come out of it."""
        before = self._shapes[source][1:]
        pads = same_padding(before, sides, strides) if padding == "same" else [0, 0, 0, 0]
        padded = [size + pads[axis] + pads[axis + 2] for axis, size in enumerate(before)]
        return pads, [
            (size - side) // step + 1 for size, side, step in zip(padded, sides, strides, strict=True)
        ]
