"""`serve_config.yaml`: what the repository ships is a shape that Serve and the service take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from app.settings import Settings
from cluster.local import CONFIG, ServiceProblem, read_config
from deployments.args import AppArgs, Placement
from models.errors import UnknownNetwork, WeightsMissing
from models.session import DeviceUnavailable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path, weights_folder: Path) -> Settings:
    """Return the settings of a home with weights."""
    (tmp_path / "models").symlink_to(weights_folder.resolve())
    return Settings(home=tmp_path, port=8123)


def shape(tmp_path: Path, **args: Any) -> Path:  # noqa: ANN401 - any argument of the application
    """Write the shipped shape with other arguments."""
    config = yaml.safe_load(CONFIG.read_text())
    config["applications"][0]["args"] |= args
    file = tmp_path / "shape.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


def test_the_shipped_shape_is_valid_to_serve() -> None:
    """Serve's own schema takes the file, and the application it names is there."""
    schema = ServeDeploySchema.model_validate(yaml.safe_load(CONFIG.read_text()))
    (application,) = schema.applications
    module, _, name = application.import_path.partition(":")
    assert callable(getattr(__import__(module, fromlist=[name]), name))


def test_the_shipped_arguments_are_known_and_complete() -> None:
    """Every argument in the file is one that the service has, and none needs a GPU."""
    args = AppArgs.model_validate(yaml.safe_load(CONFIG.read_text())["applications"][0]["args"])
    here = Placement(decode="ingress", detector="inline", attributes="inline")
    assert args.placement.resolved(has_gpu=False) == here
    spread = Placement(decode="stage", detector="pool", attributes="pool")
    assert args.placement.resolved(has_gpu=True) == spread
    assert args.ingress.min_replicas >= 1


def test_replicas_listen_on_loopback(settings: Settings) -> None:
    """The port is the settings', the address of replicas is not."""
    config = read_config(CONFIG, settings)
    assert config["http_options"] == {"host": "127.0.0.1", "port": 8123}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"detector": {"max_batch_sizes": 3}}, "max_batch_sizes"),
        ({"device": "gpu"}, "device"),
        ({"detectors": []}, "detectors"),
        ({"placement": {"decode": "nowhere"}}, "decode"),
    ],
)
def test_a_wrong_argument_is_named(tmp_path: Path, settings: Settings, args: Any, words: str) -> None:  # noqa: ANN401
    """A typing error in the file stops the start and tells where it is."""
    with pytest.raises(ServiceProblem, match=words):
        read_config(shape(tmp_path, **args), settings)


@pytest.mark.parametrize("text", ["", "applications: 3", "a: [", "- 1"])
def test_a_file_that_is_no_shape_is_refused(tmp_path: Path, settings: Settings, text: str) -> None:
    """Whatever is in the file, the error says which file it is."""
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(ServiceProblem, match=r"broken\.yaml is not the shape of a service"):
        read_config(file, settings)


def test_missing_weights_are_told_before_anything_starts(tmp_path: Path, settings: Settings) -> None:
    """The error has the command that mends it."""
    with pytest.raises(WeightsMissing, match="facefleet models pull"):
        read_config(shape(tmp_path, detectors=["scrfd_10g"]), settings)


def test_an_unknown_detector_is_told(tmp_path: Path, settings: Settings) -> None:
    """The error names those that there are."""
    with pytest.raises(UnknownNetwork, match="yunet"):
        read_config(shape(tmp_path, detectors=["yolo"]), settings)


def test_a_device_that_is_not_there_is_told(tmp_path: Path, settings: Settings) -> None:
    """A GPU that was asked for and does not work stops the start; nothing runs on the CPU in its place."""
    import onnxruntime  # noqa: PLC0415 - only this test asks what is installed

    if "TensorrtExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime may have TensorRT")
    with pytest.raises(DeviceUnavailable, match="'tensorrt' was asked for"):
        read_config(shape(tmp_path, device="tensorrt"), settings)
