"""ONNX Runtime sessions: the only place that decides where and with how many threads a network runs.

    RuntimeOptions -> providers -> open_session -> InferenceSession -> BoundSession (buffers used again)

A device that was asked for by name and does not work is an error at start. ONNX Runtime itself would
fall back to the CPU with a line in its log, and a cluster would then run at a tenth of its speed.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnxruntime as ort

from pipelines.errors import DependencyDown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Device = Literal["auto", "cpu", "cuda", "tensorrt"]

log = logging.getLogger(__name__)

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_TENSORRT = "TensorrtExecutionProvider"
_ERRORS_ONLY = 3
#: How many input shapes keep their buffers. Rectangular canvases of one network have at most
#: 2 * 20 shapes at 640 pixels, of which a camera or a site sees a handful.
_KEPT_SHAPES = 8


class DeviceUnavailable(DependencyDown):
    """The device that was asked for by name cannot run networks here."""


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """Where and how a network runs.

    Attributes:
        device: `auto` takes CUDA where it really works and the CPU elsewhere; the others are orders.
        threads: threads within one operator on the CPU. Nothing spins while it waits, so that
            replicas on one host do not burn each other's cores.
        device_id: which GPU of those this process can see.
        gpu_mem_limit: bytes of GPU memory the session may hold; fractional GPUs isolate no memory.
        fp16: let TensorRT compute in half precision.
        cache_dir: where TensorRT keeps its engines, which take minutes to build.
    """

    device: Device = "auto"
    threads: int = 1
    device_id: int = 0
    gpu_mem_limit: int | None = None
    fp16: bool = True
    cache_dir: Path | None = None


def open_session(model: Path | bytes, options: RuntimeOptions) -> ort.InferenceSession:
    """Open a network on the device that the options name.

    Raises:
        DeviceUnavailable: CUDA or TensorRT was asked for by name and does not work.
    """
    ort.disable_telemetry_events()
    ort.set_default_logger_severity(_ERRORS_ONLY)
    source = model if isinstance(model, bytes) else str(model)
    if options.device == "cpu":
        return _open(source, options, [(_CPU, {})])
    if options.device == "auto":
        return _open_best(source, options)
    return _open_ordered(source, options)


def device_of(session: ort.InferenceSession) -> Device:
    """Tell where a session runs."""
    names: dict[str, Device] = {_CUDA: "cuda", _TENSORRT: "tensorrt"}
    return names.get(session.get_providers()[0], "cpu")


def provider_chain(options: RuntimeOptions) -> list[tuple[str, dict[str, Any]]]:
    """Return the providers for a GPU device in order of preference, each with its settings."""
    cuda: dict[str, Any] = {
        "device_id": options.device_id,
        # The default doubles the arena whenever it is full and so takes what other replicas need.
        "arena_extend_strategy": "kSameAsRequested",
        # Canvases come in many shapes: an exhaustive search for each would cost seconds every time.
        "cudnn_conv_algo_search": "HEURISTIC",
    }
    if options.gpu_mem_limit is not None:
        cuda["gpu_mem_limit"] = options.gpu_mem_limit
    chain = [(_CUDA, cuda), (_CPU, {})]
    if options.device != "tensorrt":
        return chain
    tensorrt: dict[str, Any] = {"device_id": options.device_id, "trt_fp16_enable": options.fp16}
    if options.gpu_mem_limit is not None:
        tensorrt["trt_max_workspace_size"] = options.gpu_mem_limit
    if options.cache_dir is not None:
        tensorrt |= {
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": str(options.cache_dir),
            "trt_timing_cache_enable": True,
            "trt_timing_cache_path": str(options.cache_dir),
        }
    return [(_TENSORRT, tensorrt), *chain]


def _open(
    source: str | bytes, options: RuntimeOptions, providers: list[tuple[str, dict[str, Any]]]
) -> ort.InferenceSession:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    settings.log_severity_level = _ERRORS_ONLY
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.add_session_config_entry("session.inter_op.allow_spinning", "0")
    session = ort.InferenceSession(source, settings, providers=providers)
    session.disable_fallback()
    return session


def _open_best(source: str | bytes, options: RuntimeOptions) -> ort.InferenceSession:
    """Open on CUDA where that works, else on the CPU, and log which."""
    if _CUDA in ort.get_available_providers():
        try:
            session = _try_gpu(source, options)
        except Exception as failure:  # noqa: BLE001 - ONNX Runtime raises its own, undocumented types
            log.warning("CUDA is installed but does not work (%s); running on the CPU", failure)
        else:
            if device_of(session) == "cuda":
                log.info("running on CUDA device %d", options.device_id)
                return session
            log.warning("CUDA is installed but does not work; running on the CPU")
    log.info("running on the CPU with %d thread(s)", options.threads)
    return _open(source, options, [(_CPU, {})])


def _open_ordered(source: str | bytes, options: RuntimeOptions) -> ort.InferenceSession:
    """Open on the GPU device that was asked for, or say why that is impossible."""
    wanted = _CUDA if options.device == "cuda" else _TENSORRT
    if wanted not in ort.get_available_providers():
        message = (
            f"device {options.device!r} was asked for, but the installed ONNX Runtime has no {wanted}: "
            "install the 'gpu' extra instead of 'cpu', or set the device to 'cpu' or 'auto'"
        )
        raise DeviceUnavailable(message)
    try:
        session = _try_gpu(source, options)
    except Exception as failure:
        message = f"device {options.device!r} was asked for but does not work: {failure}"
        raise DeviceUnavailable(message) from failure
    if session.get_providers()[0] != wanted:
        message = (
            f"device {options.device!r} was asked for, but ONNX Runtime could only start "
            f"{session.get_providers()[0]}: check the driver, CUDA, cuDNN and the GPU's memory"
        )
        raise DeviceUnavailable(message)
    return session


def _try_gpu(source: str | bytes, options: RuntimeOptions) -> ort.InferenceSession:
    # The CUDA libraries of the 'gpu' extra lie in wheels; without this the loader does not see them.
    preload = getattr(ort, "preload_dlls", None)
    if preload is not None:
        preload()
    if options.cache_dir is not None:
        options.cache_dir.mkdir(parents=True, exist_ok=True)
    return _open(source, options, provider_chain(options))


class BoundSession:
    """A session of one input whose input and output arrays are used again, shape by shape.

    A fresh megabyte for each request costs more in page faults than in filling it. Arrays belong to
    the calling thread: what `run` returns is overwritten by that thread's next run of the same shape.
    """

    def __init__(self, session: ort.InferenceSession) -> None:
        self.session = session
        self.input_name: str = session.get_inputs()[0].name
        self.output_names: tuple[str, ...] = tuple(output.name for output in session.get_outputs())
        self._local = threading.local()

    def input_for(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return this thread's input array of that shape, to be filled before `run`."""
        return self._buffers(shape).input

    def run(self, shape: tuple[int, ...]) -> Sequence[NDArray[np.float32]]:
        """Run on what `input_for(shape)` holds and return the outputs in the network's order."""
        buffers = self._buffers(shape)
        if buffers.binding is None:
            return self._first_run(buffers)
        self.session.run_with_iobinding(buffers.binding)
        return buffers.outputs

    def _first_run(self, buffers: _Buffers) -> Sequence[NDArray[np.float32]]:
        """Learn the shapes of the outputs, then bind arrays of these shapes for every later run."""
        buffers.outputs = [
            np.ascontiguousarray(output, np.float32)
            for output in self.session.run(self.output_names, {self.input_name: buffers.input})
        ]
        binding = self.session.io_binding()
        _bind(binding.bind_input, self.input_name, buffers.input)
        for name, output in zip(self.output_names, buffers.outputs, strict=True):
            _bind(binding.bind_output, name, output)
        buffers.binding = binding
        return buffers.outputs

    def _buffers(self, shape: tuple[int, ...]) -> _Buffers:
        kept: OrderedDict[tuple[int, ...], _Buffers] | None = getattr(self._local, "kept", None)
        if kept is None:
            kept = self._local.kept = OrderedDict()
        if shape not in kept:
            while len(kept) >= _KEPT_SHAPES:
                kept.popitem(last=False)
            kept[shape] = _Buffers(np.zeros(shape, np.float32))
        kept.move_to_end(shape)
        return kept[shape]


class _Buffers:
    """The arrays of one shape and the binding that points at them."""

    def __init__(self, input_array: NDArray[np.float32]) -> None:
        self.input = input_array
        self.outputs: Sequence[NDArray[np.float32]] = ()
        self.binding: Any = None


def _bind(bind: Any, name: str, array: NDArray[np.float32]) -> None:  # noqa: ANN401 - untyped library
    bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
