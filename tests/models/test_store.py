"""The folder of weights: only right files get in, and only right files come out."""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models import errors
from models.errors import LicenceNotAccepted, SourceFailed, StorageFailed, WeightsMissing, WrongBytes
from models.listening import Silent
from models.manifest import load_manifest, parse_source
from models.records import read_record
from models.store import Store
from pipelines.errors import FacefleetError
from tests.fakes.file_server import FileServer, serve_files
from tests.fakes.networks import CONTENT, made_up_network, made_up_scrfd

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[FileServer]:
    """Return a server that has the right file at one address and other files at two more."""
    with serve_files() as running:
        running.files = {"/net": CONTENT, "/other": CONTENT[::-1], "/half": CONTENT[: len(CONTENT) // 2]}
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty store."""
    return Store(tmp_path / "models")


class Hearing(Silent):
    """Remembers what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def said(self, text: str) -> None:
        """Keep the line."""
        self.lines.append(text)


def leftovers(root: Path) -> set[str]:
    """Name everything below the store but the lock, which stays."""
    return {file.name for file in root.rglob("*") if file.name != ".lock"}


def test_pulled_weights_are_handed_out(server: FileServer, store: Store) -> None:
    """After a pull the path leads to the source's bytes and nothing else is left but their record."""
    network = made_up_network([f"{server.url}/net"])
    (pulled,) = store.pull(network)
    assert store.path(network) == pulled
    assert pulled.read_bytes() == CONTENT
    assert leftovers(pulled.parent) == {"net.onnx", "net.onnx.json"}


def test_a_second_pull_asks_nobody(server: FileServer, store: Store) -> None:
    """What is installed is left alone."""
    network = made_up_network([f"{server.url}/net"])
    store.pull(network)
    store.pull(network)
    assert len(server.ranges) == 1


def test_missing_weights_name_the_command_that_mends_it(store: Store, tmp_path: Path) -> None:
    """The error can be pasted into a shell."""
    with pytest.raises(WeightsMissing, match=f"facefleet models pull net --home {tmp_path}"):
        store.path(made_up_network([]))
    with pytest.raises(WeightsMissing, match="--accept-license"):
        store.path(made_up_network([], commercial=False))


@pytest.mark.parametrize("file", ["other", "half"])
def test_wrong_bytes_are_refused_and_deleted(
    server: FileServer, store: Store, tmp_path: Path, file: str
) -> None:
    """Bytes with another hash than the manifest's are gone after the error, which shows both hashes."""
    network = made_up_network([f"{server.url}/{file}"])
    with pytest.raises(WrongBytes, match=hashlib.sha256(server.files[f"/{file}"]).hexdigest()):
        store.pull(network)
    assert leftovers(tmp_path / "models") == set()
    with pytest.raises(WeightsMissing):
        store.path(network)


def test_a_length_that_is_too_small_is_wrong_bytes(server: FileServer, store: Store) -> None:
    """A file that a lying header cut short does not pass."""
    server.claimed_length = 1000
    with pytest.raises(WrongBytes):
        store.pull(made_up_network([f"{server.url}/net"]))


def test_sources_are_tried_in_order(server: FileServer, store: Store) -> None:
    """Sources that lack the file or have a wrong one give way to the next."""
    sources = [f"{server.url}/nothing", f"{server.url}/other", f"{server.url}/net"]
    (path,) = store.pull(made_up_network(sources))
    record = read_record(path)
    assert record is not None
    assert record.source == sources[2]
    assert path.read_bytes() == CONTENT


def test_every_failed_source_is_told(server: FileServer, store: Store) -> None:
    """When nothing helps, the error lists what was tried."""
    with pytest.raises(SourceFailed, match=r"(?s)/one.*404.*/two.*404"):
        store.pull(made_up_network([f"{server.url}/one", f"{server.url}/two"]))


def test_non_commercial_weights_wait_for_consent(server: FileServer, store: Store) -> None:
    """Nothing is fetched before the licence is accepted, and the refusal says why."""
    network = made_up_network([f"{server.url}/net"], commercial=False)
    with pytest.raises(LicenceNotAccepted, match="non-commercial use only"):
        store.pull(network)
    assert server.ranges == []
    store.pull(network, accept_license=True)
    assert store.path(network).is_file()


def test_an_unconfirmed_hash_is_shown(server: FileServer, store: Store) -> None:
    """A file with another hash than third parties publish is installed, and its hash is said."""
    hearing = Hearing()
    network = made_up_network([f"{server.url}/other"], confirmed=False)
    store.pull(network, listener=hearing)
    assert any(hashlib.sha256(CONTENT[::-1]).hexdigest() in line for line in hearing.lines)
    assert store.path(network).is_file()


def test_an_unconfirmed_download_must_at_least_be_the_network(server: FileServer, store: Store) -> None:
    """Where no hash can be relied on, other networks and login pages are told by their shape."""
    server.files["/net"] = made_up_scrfd(10_000)
    shape = replace(load_manifest()["scrfd_500m"], sources=(parse_source(f"{server.url}/net"),))
    with pytest.raises(WrongBytes, match="10000 weights"):
        store.pull(shape, accept_license=True)
    server.files["/net"] = made_up_scrfd(600_000)
    store.pull(shape, accept_license=True)
    assert store.path(shape).is_file()


def test_damage_is_noticed(server: FileServer, store: Store) -> None:
    """A file that was cut or changed is not handed out; pulling again mends it."""
    network = made_up_network([f"{server.url}/net"])
    (path,) = store.pull(network)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsMissing, match="changed or damaged"):
        store.path(network)
    store.pull(network)
    assert store.path(network).read_bytes() == CONTENT


def test_a_touched_file_is_hashed_once(server: FileServer, store: Store) -> None:
    """A copy with a new date is right all the same, and its record is renewed."""
    network = made_up_network([f"{server.url}/net"])
    (path,) = store.pull(network)
    os.utime(path, (1, 1))
    assert store.path(network) == path
    record = read_record(path)
    assert record is not None
    assert record.mtime_ns == 1_000_000_000


def test_damage_that_keeps_size_and_date_is_found_by_a_thorough_check(
    server: FileServer, store: Store
) -> None:
    """Only `verify` reads every byte; the everyday check trusts size and date."""
    network = made_up_network([f"{server.url}/net"])
    (path,) = store.pull(network)
    status = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert store.problem(network) is None
    assert "changed or damaged" in str(store.problem(network, thorough=True))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"sha256": hashlib.sha256(CONTENT[::-1]).hexdigest()}, id="other weights"),
        pytest.param({"converter": "tflite/1"}, id="other converter"),
    ],
)
def test_a_newer_manifest_makes_old_files_stale(
    server: FileServer, store: Store, change: dict[str, str]
) -> None:
    """Files made from other weights, or in another way, than the manifest says now are not handed out."""
    store.pull(made_up_network([f"{server.url}/net"]))
    with pytest.raises(WeightsMissing, match="older weights"):
        store.path(made_up_network([f"{server.url}/net"], commercial=True, **change))


def test_a_file_without_a_record_is_not_trusted(store: Store, tmp_path: Path) -> None:
    """Weights that somebody put there by hand are not taken for installed ones."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.onnx").write_bytes(CONTENT)
    with pytest.raises(WeightsMissing):
        store.path(made_up_network([]))


def test_what_a_killed_install_left_is_swept_up(server: FileServer, store: Store, tmp_path: Path) -> None:
    """Temporary files of a process that died do not pile up."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / ".net.onnx.abc.tmp").write_bytes(CONTENT)
    store.pull(made_up_network([f"{server.url}/net"]))
    assert leftovers(tmp_path / "models") == {"net.onnx", "net.onnx.json"}


def test_a_folder_that_cannot_be_made_is_named(server: FileServer, tmp_path: Path) -> None:
    """Where the store cannot be written, the error says where that is."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageFailed, match="file/models"):
        Store(tmp_path / "file" / "models").pull(made_up_network([f"{server.url}/net"]))


def test_a_variant_lives_as_long_as_what_it_was_made_from(server: FileServer, store: Store) -> None:
    """A variant is handed out until the network's own file is another one."""
    network = made_up_network([f"{server.url}/net"])
    with pytest.raises(WeightsMissing, match="quantize net"):
        store.path(network, "int8")
    store.pull(network)
    path = store.add_variant(network, "int8", b"smaller", "made by a test")
    assert store.path(network, "int8") == path
    assert path.read_bytes() == b"smaller"
    newer = made_up_network([f"{server.url}/other"], sha256=hashlib.sha256(CONTENT[::-1]).hexdigest())
    store.pull(newer)
    with pytest.raises(WeightsMissing, match="older weights"):
        store.path(newer, "int8")


def test_bundled_weights_need_no_pull(store: Store) -> None:
    """What ships with the package is there at once, and is checked against the manifest."""
    shipped = Path(__file__).parents[2] / "models" / "manifest.toml"
    right = hashlib.sha256(shipped.read_bytes()).hexdigest()
    assert store.path(made_up_network(["bundled:manifest.toml"], sha256=right)).samefile(shipped)
    with pytest.raises(WeightsMissing, match="install facefleet again"):
        store.path(made_up_network(["bundled:manifest.toml"]))


def test_every_error_survives_pickling() -> None:
    """Errors cross process borders with their text."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FacefleetError)
    ]
    for kind in kinds:
        copy = pickle.loads(pickle.dumps(kind("what happened")))  # noqa: S301 - our own bytes
        assert type(copy) is kind
        assert copy.message == "what happened"
