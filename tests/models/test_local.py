"""Weights that an operator put into a folder are recognised, and only those."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from models.errors import SourceFailed
from models.listening import Silent
from models.local import find_local
from models.manifest import load_manifest
from models.store import Store
from tests.fakes.networks import CONTENT, made_up_network, made_up_scrfd

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = load_manifest()
MEDIUM = made_up_scrfd(820_000)


def test_a_hash_counts_whatever_the_name(tmp_path: Path) -> None:
    """A renamed file in a folder of a folder is found, and installed before any other source is asked."""
    deep = tmp_path / "from-usb" / "2024"
    deep.mkdir(parents=True)
    (deep / "something.onnx").write_bytes(CONTENT)
    network = made_up_network(["pypi:there-is-no-such-package==1.0#x"], size=len(CONTENT))
    store = Store(tmp_path / "models", tmp_path / "from-usb")
    store.pull(network)
    assert store.path(network).read_bytes() == CONTENT


def test_a_name_alone_does_not_count(tmp_path: Path) -> None:
    """A file that has the right name and wrong bytes is not installed, and somebody hears of it."""
    heard: list[str] = []

    class Hearing(Silent):
        def said(self, text: str) -> None:
            """Keep the line."""
            heard.append(text)

    (tmp_path / "net.onnx").write_bytes(CONTENT[::-1])
    network = made_up_network([])
    with pytest.raises(SourceFailed, match="no file of it"):
        Store(tmp_path / "models", tmp_path).pull(network, listener=Hearing())
    assert any("has the name but its hash" in line for line in heard)


@pytest.mark.parametrize(
    ("file", "weights", "name"),
    [
        ("det_10g.onnx", 4_200_000, "scrfd_10g"),
        ("scrfd_10g_bnkps.onnx", 4_200_000, "scrfd_10g"),
        ("SCRFD_2.5G_KPS.onnx", 820_000, "scrfd_2.5g"),
        ("scrfd_2.5g_bnkps_shape640x640.onnx", 820_000, "scrfd_2.5g"),
        ("det_500m.onnx", 620_000, "scrfd_500m"),
        ("scrfd_500m_kps.onnx", 620_000, "scrfd_500m"),
    ],
)
def test_other_exports_are_recognised_by_name_and_shape(
    tmp_path: Path, file: str, weights: int, name: str
) -> None:
    """Each usual name leads to its own network and to no other."""
    folder = tmp_path / "buffalo"
    folder.mkdir()
    (folder / file).write_bytes(made_up_scrfd(weights))
    found = {
        network.name
        for network in MANIFEST.networks.values()
        if find_local(network, tmp_path, Silent()) is not None
    }
    assert found == {name}


def test_an_export_without_points_is_recognised(tmp_path: Path) -> None:
    """Detectors come with and without the five points."""
    (tmp_path / "scrfd_2.5g.onnx").write_bytes(made_up_scrfd(820_000, outputs=6))
    assert find_local(MANIFEST["scrfd_2.5g"], tmp_path, Silent()) is not None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(made_up_scrfd(4_200_000), id="another size of network"),
        pytest.param(made_up_scrfd(820_000, outputs=8), id="another number of outputs"),
        pytest.param(made_up_scrfd(820_000, outputs=3), id="scores only"),
        pytest.param(MEDIUM[: len(MEDIUM) // 2], id="half a file"),
        pytest.param(b"<html>", id="a web page"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_only_has_the_name_of_an_export_is_not_taken(tmp_path: Path, data: bytes) -> None:
    """A file must be such a network, not just be called so."""
    (tmp_path / "scrfd_2.5g_kps.onnx").write_bytes(data)
    assert find_local(MANIFEST["scrfd_2.5g"], tmp_path, Silent()) is None


@pytest.mark.parametrize("name", ["scrfd_2.5g", "scrfd_500m"])
def test_real_exports_are_recognised(testdata: Path, name: str) -> None:
    """Third-party exports of real weights are taken for what they are."""
    found = find_local(MANIFEST[name], testdata / "weights", Silent())
    assert found is not None
    assert found.name == f"{name}_kps.onnx"
