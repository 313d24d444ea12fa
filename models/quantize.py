"""8-bit variants of detectors: made from the float file and a folder of pictures, kept only if they agree.

    float file -> freed graph -> opset 13 -> ranges seen on the calibration pictures -> 8-bit graph
               -> both detectors on the check pictures -> Agreement -> accepted or refused

Weights are quantised per channel. The last convolution of every output stays in float, and what
follows it: it costs little, and a score rounded to 1/255 moves faces over the threshold.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnx
from onnx import version_converter
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from models.canvas_detector import fill_blob
from models.detectors import build_detector, scaling_of
from models.graph import relax
from models.session import RuntimeOptions
from pipelines.boxes import iou, suppress
from pipelines.canvas import CanvasPool, fit, lay
from pipelines.errors import FacefleetError, InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from models.manifest import Network
    from pipelines.faces import Faces
    from pipelines.ports import DetectorNetwork

#: A face that one network is sure of, at this score, must be found by the other at `FOUND`.
SURE = 0.6
FOUND = 0.5
NMS_THRESHOLD = 0.4
#: Two boxes are the same face when they overlap by this much.
SAME_FACE_IOU = 0.5

#: What the manifest calls the variant.
VARIANT = "int8"

#: Per-channel weights in QDQ form need at least this one.
_OPSET = 13
_QUANTISED = ["Conv", "Relu", "Add", "MaxPool", "AveragePool", "Resize", "Concat"]
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


class Disagreement(FacefleetError):
    """The 8-bit network does not find what the float network finds; it was not kept."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well an 8-bit detector agrees with the float one it was made from.

    Attributes:
        pictures: how many were compared.
        faces: those that the float network is sure of.
        recall: the part of them that the 8-bit network finds.
        precision: the part of the 8-bit network's sure faces that the float network finds.
        mean_iou: how well the boxes of matched faces overlap.
        point_error: mean distance of matched points as a part of the face's size; 0 without points.
        speedup: how many times as fast the 8-bit network was, on this machine; no limit is set on it.
    """

    pictures: int
    faces: int
    recall: float
    precision: float
    mean_iou: float
    point_error: float
    speedup: float = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What an 8-bit detector must reach to be kept; fewer faces than `faces` prove nothing."""

    faces: int = 50
    recall: float = 0.98
    precision: float = 0.98
    mean_iou: float = 0.93
    point_error: float = 0.03

    def broken_by(self, found: Agreement) -> list[str]:
        """List what an agreement falls short of, in words."""
        floors = ("faces", "recall", "precision", "mean_iou")
        broken = [
            f"{name} {getattr(found, name):.4g} is below {getattr(self, name):.4g}"
            for name in floors
            if getattr(found, name) < getattr(self, name)
        ]
        if found.point_error > self.point_error:
            broken.append(f"point_error {found.point_error:.4g} is above {self.point_error:.4g}")
        return broken


@dataclass(frozen=True, slots=True)
class Quantized:
    """An accepted 8-bit network and how it agreed."""

    data: bytes
    agreement: Agreement
    limits: Limits

    def report(self) -> dict[str, object]:
        """Return what is recorded beside the file."""
        return {
            "agreement": asdict(self.agreement),
            "limits": asdict(self.limits),
            "sure": SURE,
            "found": FOUND,
            "same_face_iou": SAME_FACE_IOU,
        }


def quantize_detector(
    network: Network,
    path: Path,
    calibration: Sequence[Path],
    check: Sequence[Path],
    limits: Limits | None = None,
) -> Quantized:
    """Make the 8-bit variant of a detector and prove that it agrees with the float one.

    Args:
        network: the manifest's entry.
        path: the float file.
        calibration: pictures with faces, to learn the ranges of values from.
        check: other pictures with faces, to compare both networks on.
        limits: what has to be reached.

    Raises:
        Disagreement: the 8-bit network falls short of the limits.
        InvalidOption: no pictures, or the same ones for both purposes.
    """
    if not calibration or not check or {p.resolve() for p in calibration} & {p.resolve() for p in check}:
        message = "pictures are needed to calibrate on, and others to check on"
        raise InvalidOption(message)
    limits = limits or Limits()
    size = (network.input.width, network.input.height)
    freed = relax(onnx.load(path))
    data = quantize_graph(freed, network.family, size, calibration)
    options = RuntimeOptions(device="cpu")
    exact = build_detector(network.name, network.family, freed.SerializeToString(), size, options)
    rounded = build_detector(network.name, network.family, data, size, options)
    agreement = compare(exact, rounded, canvases(check, size))
    broken = limits.broken_by(agreement)
    if broken:
        message = f"{network.name}: the 8-bit variant was not kept: {'; '.join(broken)}"
        raise Disagreement(message)
    return Quantized(data, agreement, limits)


def quantize_graph(
    freed: onnx.ModelProto, family: str, size: tuple[int, int], calibration: Sequence[Path]
) -> bytes:
    """Return the 8-bit form of a graph, with ranges as they are on the calibration pictures."""
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, made = (Path(folder) / name for name in ("source", "prepared", "made"))
        onnx.save(_with_opset(freed), source)
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        named = name_nodes(onnx.load(prepared))
        onnx.save(named, prepared)
        quantize_static(
            prepared,
            made,
            _Calibration(canvases(calibration, size), family, freed.graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTISED,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=head_nodes(named.graph),
            calibrate_method=CalibrationMethod.MinMax,
        )
        return made.read_bytes()


def name_nodes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give every node a name of its own, in place: names are how nodes are left out, and optional in ONNX."""
    for position, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{position}"
    return model


def head_nodes(graph: onnx.GraphProto) -> list[str]:
    """Return the last convolution before each output and all nodes after it; every node has a name."""
    makers = {name: node for node in graph.node for name in node.output}
    heads: dict[str, None] = {}
    waiting = [output.name for output in graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or node.name in heads:
            continue
        heads[node.name] = None
        if node.op_type != "Conv":
            waiting.extend(node.input)
    return list(heads)


def compare(
    exact: DetectorNetwork, rounded: DetectorNetwork, pictures: Iterable[NDArray[np.uint8]]
) -> Agreement:
    """Compare two detectors on canvases."""
    count = sure = found = sure_rounded = confirmed = 0
    overlaps: list[float] = []
    errors: list[float] = []
    speedups: list[float] = []
    for canvas in pictures:
        count += 1
        (ours, exact_ms), (theirs, rounded_ms) = (_faces(detector, canvas) for detector in (exact, rounded))
        speedups.append(exact_ms / rounded_ms if rounded_ms else 1.0)
        wanted = ours.take(ours.scores >= SURE)
        matched = [(i, _match(box, theirs)) for i, box in enumerate(wanted.boxes)]
        sure += len(wanted)
        for i, (j, overlap) in matched:
            if overlap >= SAME_FACE_IOU:
                found += 1
                overlaps.append(overlap)
                errors.append(_point_error(wanted, i, theirs, j))
        claimed = theirs.take(theirs.scores >= SURE)
        sure_rounded += len(claimed)
        confirmed += sum(_match(box, ours)[1] >= SAME_FACE_IOU for box in claimed.boxes)
    return Agreement(
        pictures=count,
        faces=sure,
        recall=found / sure if sure else 0.0,
        precision=confirmed / sure_rounded if sure_rounded else 0.0,
        mean_iou=float(np.mean(overlaps)) if overlaps else 0.0,
        point_error=float(np.mean(errors)) if errors else 0.0,
        speedup=float(np.median(speedups)) if speedups else 1.0,
    )


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures of a folder and of those below it, in a fixed order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES)


def split_pictures(calibration: Path, check: Path | None) -> tuple[list[Path], list[Path]]:
    """Return the pictures to learn from and those to check on; without a folder for these, every third."""
    learnt = pictures_in(calibration)
    if check is not None:
        return learnt, pictures_in(check)
    held_out = learnt[2::3]
    return [path for path in learnt if path not in held_out], held_out


def canvases(paths: Iterable[Path], size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """Read pictures and lay each into its canvas; those that cannot be read are left out."""
    pool = CanvasPool()
    for path in paths:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is not None:
            pixels = np.asarray(picture, np.uint8)
            yield lay(pixels, fit((pixels.shape[1], pixels.shape[0]), size, 32), pool)


def _with_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    current = next(each.version for each in model.opset_import if each.domain in {"", "ai.onnx"})
    return model if current >= _OPSET else version_converter.convert_version(model, _OPSET)


def _faces(detector: DetectorNetwork, canvas: NDArray[np.uint8]) -> tuple[Faces, float]:
    """Return the faces of a canvas and the milliseconds in the network."""
    (proposals,) = detector.propose([canvas], [FOUND])
    return suppress(proposals.faces, NMS_THRESHOLD), proposals.inference_ms


def _match(box: NDArray[np.float32], others: Faces) -> tuple[int, float]:
    """Return which of the others overlaps a box most, and by how much."""
    if not len(others):
        return 0, 0.0
    overlaps = iou(box, others.boxes)
    best = int(overlaps.argmax())
    return best, float(overlaps[best])


def _point_error(one: Faces, i: int, other: Faces, j: int) -> float:
    if one.points is None or other.points is None:
        return 0.0
    width, height = one.boxes[i, 2:] - one.boxes[i, :2]
    distances = np.linalg.norm(one.points[i] - other.points[j], axis=1)
    return float(distances.mean() / max(1.0, float(np.sqrt(abs(width * height)))))


class _Calibration(CalibrationDataReader):  # type: ignore[misc] # the library has no types
    """Feeds the calibration pictures one by one."""

    def __init__(self, pictures: Iterator[NDArray[np.uint8]], family: str, input_name: str) -> None:
        self._pictures = pictures
        self._scaling = scaling_of(family)
        self._input_name = input_name

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next input, None at the end."""
        canvas = next(self._pictures, None)
        if canvas is None:
            return None
        height, width = canvas.shape[:2]
        blob = np.empty((1, 3, height, width), np.float32)
        fill_blob(canvas, np.empty((3, height, width), np.uint8), blob[0], self._scaling)
        return {self._input_name: blob}
