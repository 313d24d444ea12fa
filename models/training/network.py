"""The small network behind both tasks: a chain of depthwise convolutions, and its way to ONNX.

The graph that is written takes the crop as the service has it, uint8 BGR [N, height, width, 3], and
answers probabilities [N]. Scaling, layout and the batch normalisations are folded into it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_OPSET = 17
#: Channels out and stride of each depthwise-separable block after the first convolution.
_BLOCKS = ((48, 2), (48, 1), (96, 2), (96, 1), (96, 1), (160, 2), (160, 1))
_FIRST_CHANNELS = 24


def network() -> nn.Sequential:
    """Return an untrained network: float BGR in -1..1 [N, 3, H, W] in, one logit each out [N, 1]."""
    layers = _convolution(3, _FIRST_CHANNELS, kernel=3, stride=2)
    channels = _FIRST_CHANNELS
    for wide, stride in _BLOCKS:
        layers += _convolution(channels, channels, kernel=3, stride=stride, groups=channels)
        layers += _convolution(channels, wide, kernel=1)
        channels = wide
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(channels, 1)]
    return nn.Sequential(*layers)


def to_input(crops: NDArray[np.uint8]) -> torch.Tensor:
    """Scale crops the way the written graph does."""
    planes = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
    return ((planes - 127.5) / 127.5).contiguous(memory_format=torch.channels_last)


def save_onnx(trained: nn.Sequential, crop_size: tuple[int, int], path: Path, notes: dict[str, str]) -> None:
    """Write the network for the service, with notes in the file's metadata.

    Args:
        trained: what `network` returned, trained.
        crop_size: width and height of the crop.
        path: the file to write.
        notes: what to say of the network in the file itself: task, version, threshold.
    """
    trained.eval()
    width, height = crop_size
    weights: dict[str, NDArray[np.generic]] = {
        "half": np.array(127.5, np.float32),
        "last_axis": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["pixels", "half"], ["centred"]),
        helper.make_node("Div", ["centred", "half"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
    ]
    current = "planes"
    for place, (module, following) in enumerate(pairwise(trained)):
        if not isinstance(module, nn.Conv2d):
            continue
        weights[f"w{place}"], weights[f"b{place}"] = _folded(module, following)
        raw, rectified = f"conv{place}", f"relu{place}"
        nodes += [
            helper.make_node(
                "Conv",
                [current, f"w{place}", f"b{place}"],
                [raw],
                strides=list(module.stride),
                pads=[*module.padding, *module.padding],
                group=module.groups,
            ),
            helper.make_node("Relu", [raw], [rectified]),
        ]
        current = rectified
    last = trained[-1]
    weights["w_out"], weights["b_out"] = _array(last.weight), _array(last.bias)
    nodes += [
        helper.make_node("GlobalAveragePool", [current], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "w_out", "b_out"], ["logits"], transB=1),
        helper.make_node("Sigmoid", ["logits"], ["chances"]),
        helper.make_node("Squeeze", ["chances", "last_axis"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "facefleet",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["batch", height, width, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch"])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
    helper.set_model_props(model, notes)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _convolution(
    channels: int, wide: int, *, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    convolution = nn.Conv2d(
        channels, wide, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
    )
    return [convolution, nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]


def _folded(convolution: nn.Conv2d, norm: nn.Module) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weights and bias of one convolution that does what both did."""
    if not isinstance(norm, nn.BatchNorm2d):
        message = "every convolution is followed by its normalisation"
        raise TypeError(message)
    gain = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
    bias = _array(norm.bias) - _array(norm.running_mean) * gain
    return _array(convolution.weight) * gain[:, None, None, None], bias.astype(np.float32)


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().numpy(), np.float32)
