"""Downloads over a line and from servers that are not to be relied on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from models.errors import SourceFailed
from models.listening import Silent
from models.web import download
from tests.fakes.file_server import FileServer, serve_files
from tests.fakes.networks import CONTENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUICK_S = 0.001


@pytest.fixture
def server() -> Iterator[FileServer]:
    """Return a server that has one file."""
    with serve_files() as running:
        running.files["/file"] = CONTENT
        yield running


class Counting(Silent):
    """Remembers the last count."""

    def __init__(self) -> None:
        self.counts: list[tuple[int, int | None]] = []

    def moved(self, done: int, total: int | None) -> None:
        """Keep the count."""
        self.counts.append((done, total))


def test_a_whole_file_arrives_and_is_counted(server: FileServer, tmp_path: Path) -> None:
    """The bytes are the server's and the listener sees them grow to the announced total."""
    counting = Counting()
    file = download(f"{server.url}/file", tmp_path, counting)
    assert file.read_bytes() == CONTENT
    assert counting.counts[-1] == (len(CONTENT), len(CONTENT))
    assert counting.counts == sorted(counting.counts)


def test_a_dropped_connection_is_resumed(server: FileServer, tmp_path: Path) -> None:
    """After each cut only the missing rest is asked for, however often the line breaks."""
    server.drop_after = [400_000, 300_000, 200_000, 100_000, 100_000, 100_000, 50_000]
    file = download(f"{server.url}/file", tmp_path, Silent(), QUICK_S)
    assert file.read_bytes() == CONTENT
    assert server.ranges[0] is None
    assert all(asked is not None for asked in server.ranges[1:])
    assert server.sent == len(CONTENT)


def test_without_a_version_a_download_starts_again(server: FileServer, tmp_path: Path) -> None:
    """Bytes of an unknown version are never joined to others."""
    server.etag = None
    server.drop_after = [400_000]
    file = download(f"{server.url}/file", tmp_path, Silent(), QUICK_S)
    assert file.read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: FileServer, tmp_path: Path) -> None:
    """The rest of a new version is not appended to the beginning of the old one."""
    server.drop_after = [400_000] + [0] * 5
    with pytest.raises(SourceFailed):
        download(f"{server.url}/file", tmp_path, Silent(), QUICK_S)
    server.files["/file"] = CONTENT[::-1]
    server.etag = '"v2"'
    assert download(f"{server.url}/file", tmp_path, Silent(), QUICK_S).read_bytes() == CONTENT[::-1]


def test_a_file_that_shrank_meanwhile_is_fetched_anew(server: FileServer, tmp_path: Path) -> None:
    """A server that cannot serve the rest is asked for all of it."""
    server.drop_after = [400_000] + [0] * 5
    with pytest.raises(SourceFailed):
        download(f"{server.url}/file", tmp_path, Silent(), QUICK_S)
    server.files["/file"] = CONTENT[:1000]
    assert download(f"{server.url}/file", tmp_path, Silent(), QUICK_S).read_bytes() == CONTENT[:1000]


def test_a_missing_file_fails_at_once(server: FileServer, tmp_path: Path) -> None:
    """A 404 is not tried again and is named."""
    with pytest.raises(SourceFailed, match="404"):
        download(f"{server.url}/other", tmp_path, Silent(), QUICK_S)
    assert len(server.ranges) == 1


def test_a_server_in_trouble_is_tried_several_times(server: FileServer, tmp_path: Path) -> None:
    """A 503 may pass, so the download gives up only after some tries."""
    server.status = 503
    with pytest.raises(SourceFailed, match="503"):
        download(f"{server.url}/file", tmp_path, Silent(), QUICK_S)
    assert len(server.ranges) == 5


def test_a_length_that_is_too_large_ends(server: FileServer, tmp_path: Path) -> None:
    """A server that promises more than it sends is given up on, and nothing passes for a whole file."""
    server.etag = None
    server.claimed_length = 2 * len(CONTENT)
    with pytest.raises(SourceFailed, match="without progress"):
        download(f"{server.url}/file", tmp_path, Silent(), QUICK_S)
    assert not [file for file in tmp_path.iterdir() if file.suffix != ".part"]


def test_nobody_listening_is_a_failed_source(tmp_path: Path) -> None:
    """A refused connection is the source's failure, not a crash."""
    with pytest.raises(SourceFailed):
        download("http://127.0.0.1:9/file", tmp_path, Silent(), QUICK_S)
