"""Manifests, wheels and networks made up for tests."""

from __future__ import annotations

import hashlib
import json
import zipfile
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from models.manifest import Network, parse_manifest

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = np.random.default_rng(1).bytes(1_500_000)


def manifest_text(sources: list[str], *, commercial: bool = True, **entry: object) -> str:
    """Return a manifest with one network, `net`; its right bytes are `CONTENT` unless said otherwise."""
    values: dict[str, object] = {
        "task": "detect",
        "family": "test",
        "file": "net.onnx",
        "pack": "default",
        "licence": "some",
        "attribution": "Somebody made it.",
        "sources": sources,
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "confirmed": True,
        "decoding": "none",
        **entry,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
    feed = 'input = { width = 8, height = 8, colour = "rgb", layout = "nchw", mean = 0.0, scale = 1.0 }'
    terms = f'name = "Some"\nurl = "https://licence.example"\ncommercial = {json.dumps(commercial)}'
    variants = 'variants = [{ name = "int8", file = "net.int8.onnx", precision = "int8" }]'
    return "\n".join(["[licence.some]", terms, "[network.net]", *lines, feed, variants])


def made_up_network(sources: list[str], *, commercial: bool = True, **entry: object) -> Network:
    """Return the network of `manifest_text`."""
    return parse_manifest(manifest_text(sources, commercial=commercial, **entry))["net"]


def made_up_wheel(folder: Path, files: dict[str, bytes]) -> Path:
    """Write the wheel of a package `made-up` 1.0 with these files in it."""
    info = "made_up-1.0.dist-info"
    parts = {
        **files,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    wheel = folder / "made_up-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as zipped:
        for name, data in parts.items():
            zipped.writestr(name, data)
    return wheel


def made_up_scrfd(weights: int, *, outputs: int = 9, side: int = 640) -> bytes:
    """Return an ONNX file that has the outside of an SCRFD export and this many weights."""
    ballast = numpy_helper.from_array(np.zeros(weights, np.float32), "ballast")
    widths = [1, 1, 1, 4, 4, 4, 10, 10, 10][:outputs]
    nodes = [helper.make_node("Identity", ["ballast"], [f"out{number}"]) for number in range(outputs)]
    shapes = [
        helper.make_tensor_value_info(f"out{number}", TensorProto.FLOAT, [1, 800, width])
        for number, width in enumerate(widths)
    ]
    feed = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])
    graph = helper.make_graph(nodes, "scrfd", [feed], shapes, [ballast])
    return bytes(helper.make_model(graph).SerializeToString())
