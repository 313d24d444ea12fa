"""Makes an ONNX file of a float32 TFLite one that has convolutions, poolings and little else.

TFLite keeps channels last, ONNX's convolutions want them first: the picture is turned once at the input
and every weight is turned here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tflite

from models.errors import BadWeights
from models.graph_writing import GraphWriter, same_padding

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_TYPES = {tflite.TensorType.FLOAT32: np.dtype("<f4"), tflite.TensorType.INT32: np.dtype("<i4")}
_CHANNELS_FIRST = (0, 3, 1, 2)


def convert_tflite(data: bytes) -> bytes:
    """Return the network with a free batch size; input stays [N, H, W, C], outputs are flat [N, width]."""
    if not tflite.Model.ModelBufferHasIdentifier(data, 0):
        message = "not a TFLite file"
        raise BadWeights(message)
    return _Conversion(tflite.Model.GetRootAs(data, 0)).run()


@dataclass(frozen=True, slots=True)
class _Step:
    """One operator: its inputs' indices, its output's index, and its options where it has any."""

    inputs: list[int]
    output: int
    options: Any


class _Conversion:
    """Walks the only graph of a TFLite model; all tensors between input and outputs are channels-first."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - the schema package has no types
        self._model = model
        self._graph = model.Subgraphs(0)
        self._writer = GraphWriter()
        self._kinds: dict[int, tuple[Any, Callable[[_Step], str]]] = {
            tflite.BuiltinOperator.CONV_2D: (tflite.Conv2DOptions, self._convolution),
            tflite.BuiltinOperator.DEPTHWISE_CONV_2D: (tflite.DepthwiseConv2DOptions, self._depthwise),
            tflite.BuiltinOperator.PRELU: (None, self._prelu),
            tflite.BuiltinOperator.ADD: (tflite.AddOptions, self._addition),
            tflite.BuiltinOperator.MAX_POOL_2D: (tflite.Pool2DOptions, self._max_pooling),
            tflite.BuiltinOperator.PAD: (None, self._padding),
        }

    def run(self) -> bytes:
        """Convert every operator and return the file."""
        source = int(self._graph.Inputs(0))
        self._writer.node("Transpose", ["input"], self._name(source), perm=_CHANNELS_FIRST)
        for number in range(self._graph.OperatorsLength()):
            self._operator(self._graph.Operators(number))
        outputs = {}
        for index in self._graph.OutputsAsNumpy().tolist():
            name = f"{self._name(index)}_flat"
            last = self._writer.node("Transpose", [self._name(index)], f"{name}_last", perm=(0, 2, 3, 1))
            self._writer.node("Flatten", [last], name, axis=1)
            outputs[name] = [int(np.prod(self._shape(index)[1:]))]
        return self._writer.finish("tflite", {"input": self._shape(source)[1:]}, outputs)

    def _operator(self, operator: Any) -> None:  # noqa: ANN401 - the schema package has no types
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        # Old files know only the one-byte field.
        kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if kind not in self._kinds:
            message = f"operator {tflite.opcode2name(kind)} is not supported"
            raise BadWeights(message)
        options_type, write = self._kinds[kind]
        options = None
        if options_type is not None and (table := operator.BuiltinOptions()) is not None:
            options = options_type()
            options.Init(table.Bytes, table.Pos)
            if options.FusedActivationFunction() != tflite.ActivationFunctionType.NONE:
                message = "fused activations are not supported"
                raise BadWeights(message)
        write(_Step(operator.InputsAsNumpy().tolist(), int(operator.Outputs(0)), options))

    def _convolution(self, step: _Step) -> str:
        kernel = self._array(step.inputs[1]).transpose(_CHANNELS_FIRST)
        return self._convolve(step, kernel, groups=1)

    def _depthwise(self, step: _Step) -> str:
        kernel = self._array(step.inputs[1]).transpose(3, 0, 1, 2)
        return self._convolve(step, kernel, groups=self._shape(step.inputs[0])[3])

    def _convolve(self, step: _Step, kernel: NDArray[np.generic], groups: int) -> str:
        source, kernel_index, bias_index = step.inputs
        strides = (step.options.StrideH(), step.options.StrideW())
        if (step.options.DilationHFactor(), step.options.DilationWFactor()) != (1, 1):
            message = "dilation is not supported"
            raise BadWeights(message)
        inputs = [
            self._name(source),
            self._writer.weight(self._name(kernel_index), kernel),
            self._writer.weight(self._name(bias_index), self._array(bias_index)),
        ]
        pads = self._pads(step, kernel.shape[2:], strides)
        return self._writer.node(
            "Conv",
            inputs,
            self._name(step.output),
            kernel_shape=kernel.shape[2:],
            strides=strides,
            pads=pads,
            group=groups,
        )

    def _prelu(self, step: _Step) -> str:
        source, slope = step.inputs
        turned = np.moveaxis(self._array(slope), -1, 0)
        weight = self._writer.weight(self._name(slope), turned)
        return self._writer.node("PRelu", [self._name(source), weight], self._name(step.output))

    def _addition(self, step: _Step) -> str:
        return self._writer.node("Add", [self._name(index) for index in step.inputs], self._name(step.output))

    def _max_pooling(self, step: _Step) -> str:
        kernel = (step.options.FilterHeight(), step.options.FilterWidth())
        strides = (step.options.StrideH(), step.options.StrideW())
        return self._writer.node(
            "MaxPool",
            [self._name(step.inputs[0])],
            self._name(step.output),
            kernel_shape=kernel,
            strides=strides,
            pads=self._pads(step, kernel, strides),
        )

    def _padding(self, step: _Step) -> str:
        source, widths = step.inputs
        turned = self._array(widths)[list(_CHANNELS_FIRST)].T.reshape(-1).astype(np.int64)
        weight = self._writer.weight(self._name(widths), turned)
        return self._writer.node(
            "Pad", [self._name(source), weight], self._name(step.output), mode="constant"
        )

    def _pads(self, step: _Step, kernel: tuple[int, ...], strides: tuple[int, int]) -> list[int]:
        if step.options.Padding() == tflite.Padding.VALID:
            return [0, 0, 0, 0]
        return same_padding(self._shape(step.inputs[0])[1:3], kernel, strides)

    def _name(self, index: int) -> str:
        return str(self._graph.Tensors(index).Name().decode())

    def _shape(self, index: int) -> list[int]:
        shape: list[int] = self._graph.Tensors(index).ShapeAsNumpy().tolist()
        return shape

    def _array(self, index: int) -> NDArray[np.generic]:
        tensor = self._graph.Tensors(index)
        if tensor.Type() not in _TYPES:
            message = "only float32 weights are supported"
            raise BadWeights(message)
        content = self._model.Buffers(tensor.Buffer()).DataAsNumpy()
        return np.frombuffer(content.tobytes(), _TYPES[tensor.Type()]).reshape(self._shape(index))
