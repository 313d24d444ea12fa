"""Pulls that meet, break off, or run out of room: with real processes and real signals."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from models.errors import WeightsMissing
from models.listening import Silent
from models.store import Store
from tests.fakes.file_server import FileServer, serve_files
from tests.fakes.networks import CONTENT, made_up_network, manifest_text
from tests.pictures import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from models.manifest import Network

PULL = """
import sys
from pathlib import Path
from models.manifest import parse_manifest
from models.store import Store
Store(Path(sys.argv[1])).pull(parse_manifest(Path(sys.argv[2]).read_text())["net"])
"""
CRAMPED = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
"""


@pytest.fixture
def server() -> Iterator[FileServer]:
    """Return a slow server that has the right file."""
    with serve_files() as running:
        running.files["/net"] = CONTENT
        running.pause_s = 0.05
        yield running


@pytest.fixture
def network(server: FileServer, tmp_path: Path) -> Network:
    """Return the network to pull; its manifest lies in a file for other processes."""
    (tmp_path / "manifest.toml").write_text(manifest_text([f"{server.url}/net"]))
    return made_up_network([f"{server.url}/net"])


def start_pull(tmp_path: Path, before: str = "") -> subprocess.Popen[str]:
    """Start a process that pulls the network into the folder's store."""
    command = [sys.executable, "-c", before + PULL, str(tmp_path / "models"), str(tmp_path / "manifest.toml")]
    return subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)


def wait_for_bytes(server: FileServer, least: int) -> None:
    """Wait until the server has sent that much."""
    deadline = time.monotonic() + 30
    while server.sent < least:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_processes_pull_the_same_once(server: FileServer, network: Network, tmp_path: Path) -> None:
    """Whoever comes second waits and then finds the work done."""
    pulls = [start_pull(tmp_path) for _ in range(2)]
    assert [(pull.communicate(timeout=60)[1], pull.returncode) for pull in pulls] == [("", 0), ("", 0)]
    assert server.ranges == [None]
    assert Store(tmp_path / "models").path(network).read_bytes() == CONTENT


def test_a_killed_pull_leaves_nothing_that_passes_and_is_resumed(
    server: FileServer, network: Network, tmp_path: Path
) -> None:
    """After `kill -9` nothing is installed; the next pull fetches only the rest."""
    store = Store(tmp_path / "models")
    pull = start_pull(tmp_path)
    wait_for_bytes(server, 700_000)
    pull.send_signal(signal.SIGKILL)
    pull.communicate(timeout=10)
    with pytest.raises(WeightsMissing):
        store.path(network)
    store.pull(network)
    assert store.path(network).read_bytes() == CONTENT
    assert server.ranges[-1] is not None
    assert {file.name for file in (tmp_path / "models").iterdir()} == {".lock", "net.onnx", "net.onnx.json"}


def test_an_interrupted_pull_frees_the_folder(server: FileServer, network: Network, tmp_path: Path) -> None:
    """Ctrl-C in the middle installs nothing, and the same process can pull again."""

    class Impatient(Silent):
        def moved(self, done: int, total: int | None) -> None:
            """Interrupt as soon as something has arrived."""
            assert total is None or done <= total
            raise KeyboardInterrupt

    store = Store(tmp_path / "models")
    with pytest.raises(KeyboardInterrupt):
        store.pull(network, listener=Impatient())
    assert not list((tmp_path / "models").glob("*net.onnx*"))
    server.pause_s = 0
    store.pull(network)
    assert store.path(network).read_bytes() == CONTENT


def test_no_room_for_the_download_is_said(server: FileServer, network: Network, tmp_path: Path) -> None:
    """A disk that fills up during the download is an error that names the folder; nothing is installed."""
    server.pause_s = 0
    pull = start_pull(tmp_path, CRAMPED)
    complaint = pull.communicate(timeout=60)[1]
    assert "StorageFailed" in complaint
    assert str(tmp_path / "models") in complaint
    with pytest.raises(WeightsMissing):
        Store(tmp_path / "models").path(network)


def test_no_room_for_the_installed_file_leaves_no_half_of_it(tmp_path: Path) -> None:
    """A disk that fills up while installing leaves neither a half file nor a temporary one."""
    local = tmp_path / "local"
    local.mkdir()
    (local / "net.onnx").write_bytes(CONTENT)
    (tmp_path / "manifest.toml").write_text(manifest_text([]))
    before = CRAMPED + PULL.replace("Path(sys.argv[1])", f"Path(sys.argv[1]), Path({str(local)!r})")
    command = [sys.executable, "-c", before, str(tmp_path / "models"), str(tmp_path / "manifest.toml")]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    assert "StorageFailed" in done.stderr
    assert {file.name for file in (tmp_path / "models").iterdir()} == {".lock"}
