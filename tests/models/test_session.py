"""Sessions: devices are orders, arrays are used again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
import pytest

from models.graph import relax
from models.session import (
    BoundSession,
    Device,
    DeviceUnavailable,
    RuntimeOptions,
    device_of,
    open_session,
    provider_chain,
)
from tests.fakes.scrfd import scrfd_export

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CPU = RuntimeOptions(device="cpu")
HAS_GPU = "CUDAExecutionProvider" in ort.get_available_providers()


@pytest.fixture
def network() -> bytes:
    """Return a small network."""
    return bytes(relax(scrfd_export("reexported")).SerializeToString())


@pytest.mark.skipif(HAS_GPU, reason="this ONNX Runtime can use a GPU: it has nothing to refuse")
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_gpu_that_is_not_there_is_an_error(network: bytes, device: Device) -> None:
    """A device asked for by name is never silently replaced by the CPU."""
    with pytest.raises(DeviceUnavailable, match=f"'{device}' was asked for.*'gpu' extra"):
        open_session(network, RuntimeOptions(device=device))


def test_a_provider_that_falls_back_is_an_error(network: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime may list a provider whose libraries are missing, and then quietly use the CPU."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    if HAS_GPU:
        pytest.skip("the provider works here")
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(DeviceUnavailable, match="'cuda'"),
    ):
        open_session(network, RuntimeOptions(device="cuda"))


@pytest.mark.skipif(HAS_GPU, reason="`auto` takes the GPU here")
def test_auto_takes_the_cpu_where_there_is_nothing_else(
    network: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """`auto` works everywhere and says what it took."""
    with caplog.at_level("INFO", logger="models.session"):
        session = open_session(network, RuntimeOptions(device="auto"))
    assert device_of(session) == "cpu"
    assert "CPU" in caplog.text


def test_threads_are_what_was_asked_for_and_do_not_spin(network: bytes) -> None:
    """Replicas share cores: each has its own number of threads, and a waiting one sleeps."""
    settings = open_session(network, RuntimeOptions(device="cpu", threads=2)).get_session_options()
    assert settings.intra_op_num_threads == 2
    assert settings.inter_op_num_threads == 1
    assert settings.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_gpu_memory_is_bounded(tmp_path: Path) -> None:
    """The limit reaches the provider, and the arena takes what is asked for and no more."""
    chain = dict(provider_chain(RuntimeOptions(device="tensorrt", gpu_mem_limit=1 << 30, cache_dir=tmp_path)))
    assert list(chain) == ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    assert chain["CUDAExecutionProvider"]["gpu_mem_limit"] == 1 << 30
    assert chain["CUDAExecutionProvider"]["arena_extend_strategy"] == "kSameAsRequested"
    assert chain["TensorrtExecutionProvider"]["trt_engine_cache_path"] == str(tmp_path)


def test_arrays_are_used_again(network: bytes) -> None:
    """From the second run of a shape on, inputs and outputs lie where they lay, with the right values."""
    bound = BoundSession(open_session(network, CPU))
    shape = (1, 3, 64, 96)
    random = np.random.default_rng(5)
    places = set()
    for _ in range(3):
        picture = random.normal(0, 1, shape).astype(np.float32)
        array = bound.input_for(shape)
        array[:] = picture
        outputs = bound.run(shape)
        expected = bound.session.run(None, {bound.input_name: picture})
        for output, wanted in zip(outputs, expected, strict=True):
            np.testing.assert_array_equal(output, wanted)
        places.add((array.ctypes.data, *(output.ctypes.data for output in outputs)))
    assert len(places) == 1


def test_threads_do_not_share_arrays(network: bytes) -> None:
    """Two threads that run the same shape at once do not overwrite each other."""
    bound = BoundSession(open_session(network, CPU))
    arrays: list[NDArray[np.float32]] = [bound.input_for((1, 3, 32, 32))]
    thread = threading.Thread(target=lambda: arrays.append(bound.input_for((1, 3, 32, 32))))
    thread.start()
    thread.join()
    assert not np.shares_memory(arrays[0], arrays[1])


def test_many_shapes_do_not_gather_memory(network: bytes) -> None:
    """Shapes that were not seen for long give their arrays back."""
    bound = BoundSession(open_session(network, CPU))
    first = bound.input_for((1, 3, 32, 32))
    for width in range(64, 64 + 32 * 20, 32):
        bound.input_for((1, 3, 32, width))
    assert bound.input_for((1, 3, 32, 32)) is not first
