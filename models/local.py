"""Recognises weights in a folder that the operator filled, for sites without internet.

A file counts by its hash, whatever its name. Networks that people export again and again (`export_shape`
in the manifest) count by name and shape too.
"""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING

import numpy as np
import onnx

from models.records import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from models.listening import Listener
    from models.manifest import ExportShape, Network

_SUFFIXES = frozenset({".onnx", ".tflite", ".hdf5", ".h5"})


def find_local(network: Network, folder: Path, listener: Listener) -> Path | None:
    """Return the file of a network in a folder, at any depth; None where there is none.

    Args:
        network: what is looked for.
        folder: the operator's folder.
        listener: who is told of files that have the name but are not the network.
    """
    files = sorted(_weights_in(folder), key=lambda file: (len(file.parts), file.name))
    named = [file for file in files if any(fnmatch(file.name.lower(), name) for name in network.local_names)]
    hashes = {*network.other_sha256, network.sha256} - {None}
    sized = [file for file in files if network.size in (None, file.stat().st_size)]
    for file in dict.fromkeys((*named, *sized)):
        if sha256_of(file) in hashes:
            return file
    for file in named:
        fault = (
            "its hash is not the manifest's"
            if network.export_shape is None
            else misfit(file, network.export_shape)
        )
        if fault is None:
            return file
        listener.said(f"{network.name}: {file} has the name but {fault}")
    return None


def misfit(file: Path, shape: ExportShape) -> str | None:
    """Tell why a file is not an export of the network with that shape; None when it is one."""
    try:
        graph = onnx.load(file).graph
    except Exception as error:  # noqa: BLE001 - protobuf raises its own, undocumented errors on bad bytes
        return f"is not ONNX: {type(error).__name__}"
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [_shape(value) for value in graph.input if value.name not in stored]
    if len(inputs) != 1 or not _fits(inputs[0], shape.input):
        return f"its inputs are {inputs}"
    if len(graph.output) not in shape.outputs:
        return f"it has {len(graph.output)} outputs"
    widths = [_shape(value)[-1:] for value in graph.output]
    if all(width and width[0] for width in widths) and not {(w,) for w in shape.widths} <= set(widths):
        return f"its outputs end in {widths}"
    weights = sum(int(np.prod(tensor.dims)) for tensor in graph.initializer)
    low, high = shape.weights
    return None if low <= weights <= high else f"it has {weights} weights"


def _weights_in(folder: Path) -> Iterator[Path]:
    """List the files that may be weights."""
    return (file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """Return the sizes of an input or output, 0 where they are free."""
    return tuple(max(size.dim_value, 0) for size in value.type.tensor_type.shape.dim)


def _fits(got: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Tell whether sizes agree; free ones agree with everything."""
    return len(got) == len(wanted) and all(
        0 in pair or pair[0] == pair[1] for pair in zip(got, wanted, strict=True)
    )
