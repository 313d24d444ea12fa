"""What one service is run with: nothing is shared with another, and sockets fit into their paths."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from typing import TYPE_CHECKING

import pytest

from app.settings import Settings
from cluster.environment import environment, place_of, token_file
from cluster.ports import BLOCK_SIZE, BLOCKS, Ports, free_ports, obstacle, ports_for, reserved_ports
from deployments import edge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The longest path that a socket may have on Linux, its final zero left out.
LONGEST_SOCKET = 107
#: The longest name that Serve gives a folder below the one for HAProxy's sockets.
NODE = "0" * 56
#: What Ray puts below its folder.
RAY_SOCKET = "session_2026-11-21_04-29-46_971078_1234567/sockets/plasma_store.12345"


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[list[Settings]]:
    """Give the settings of two services."""
    made = [Settings(home=tmp_path / name, port=port) for name, port in (("one", 8001), ("two", 8002))]
    yield made
    for settings in made:
        place_of(settings).scratch.rmdir()


def variables(settings: Settings) -> dict[str, str]:
    """Return what a service's processes are started with."""
    place = place_of(settings)
    return environment(settings, place, ports_for(place.home))


def test_two_homes_share_nothing(homes: list[Settings]) -> None:
    """No path, port or secret of one service is the other's."""
    one, two = (variables(settings) for settings in homes)
    own = {"FACE_API_HOME", "FACEFLEET_SERVICE", "RAY_AUTH_TOKEN_PATH"}
    own |= {name for name in one if name.endswith(("_PORT", "_SOCKET_PATH", "_BASE", "_FILE", "_LOC"))}
    own |= {"RAY_SERVE_HAPROXY_BINARY_PATH"}
    assert len(own) >= 15
    assert not {one[name] for name in own} & {two[name] for name in own}
    tokens = [token_file(place_of(settings)).read_text() for settings in homes]
    assert tokens[0] != tokens[1]


def test_the_token_is_kept_and_private(homes: list[Settings]) -> None:
    """A second start knows the same secret, which nobody else can read."""
    place = place_of(homes[0])
    first = token_file(place).read_text()
    assert len(first) == 64
    assert token_file(place).read_text() == first
    assert stat.S_IMODE(token_file(place).stat().st_mode) == 0o600


def test_sockets_fit_into_their_paths(homes: list[Settings]) -> None:
    """Ray's and HAProxy's sockets have paths that the system takes, however deep the home is."""
    place = place_of(homes[0])
    given = variables(homes[0])
    folder, name = os.path.split(given["RAY_SERVE_HAPROXY_SOCKET_PATH"])
    # HAProxy binds beside the socket first, under a longer name.
    assert len(f"{folder}/{NODE}/{name}.1234567.tmp") <= LONGEST_SOCKET
    assert len(f"{place.ray}/{RAY_SOCKET}") <= LONGEST_SOCKET


def test_a_long_temporary_folder_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, homes: list[Settings]
) -> None:
    """Where the system's temporary folder has a long path the scratch files lie elsewhere."""
    long = tmp_path / "a-temporary-folder-with-a-long-name"
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert len(str(place_of(homes[0]).scratch)) < 30


def test_a_scratch_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """A link where the scratch folder should be is not followed."""
    settings = Settings(home=tmp_path / "home")
    scratch = place_of(settings).scratch
    scratch.rmdir()
    scratch.symlink_to(tmp_path)
    try:
        with pytest.raises(PermissionError, match="belongs to somebody else"):
            place_of(settings)
    finally:
        scratch.unlink()


def test_a_services_own_figures_stay_on_loopback(tmp_path: Path) -> None:
    """A service for the whole network keeps metrics and statistics to itself."""
    settings = Settings(home=tmp_path / "home", host="0.0.0.0")  # noqa: S104 - that is the point
    given = variables(settings)
    place_of(settings).scratch.rmdir()
    assert given[edge.ADDRESS_ENV] == "0.0.0.0"  # noqa: S104
    assert given[edge.LISTEN_ENV] == "127.0.0.1"
    assert given["RAY_AUTH_MODE"] == "token"


def test_a_block_of_ports_in_use_is_passed_over(tmp_path: Path) -> None:
    """A service never gets a block in which somebody listens already."""
    first = ports_for(tmp_path)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", first.replicas[-1]))
        listener.listen()
        second = ports_for(tmp_path)
    assert second != first
    assert second.first in BLOCKS


def test_two_that_start_in_the_same_instant_get_different_blocks(tmp_path: Path) -> None:
    """While somebody is about to use a block, nobody else is given it; afterwards it is free again."""
    with reserved_ports(tmp_path) as first, reserved_ports(tmp_path) as second:
        assert second.first != first.first
    assert ports_for(tmp_path) == first


def test_ports_of_a_block_do_not_overlap() -> None:
    """Each purpose has ports of its own, all within the block."""
    ports = Ports(BLOCKS[0])
    named = [ports.haproxy_metrics, ports.haproxy_stats, *ports.fallback, *ports.ray]
    every = [*named, *ports.replicas, ports.reserving]
    assert len(every) == len(set(every)) == BLOCK_SIZE
    assert set(every) == set(range(BLOCKS[0], BLOCKS[0] + BLOCK_SIZE))


def test_an_obstacle_is_told_in_words() -> None:
    """Why nobody can listen somewhere is said so that an operator knows what to do."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert obstacle("127.0.0.1", port) == f"port {port} on 127.0.0.1 is in use by another program"
        assert "in use" in (obstacle("0.0.0.0", port) or "")  # noqa: S104 - any address takes this one too
    assert obstacle("127.0.0.1", port) is None
    assert obstacle("localhost", port) is None
    assert obstacle("203.0.113.7", port) == "203.0.113.7 is not an address of this machine"
    assert obstacle("no.such.host.invalid", port) == "no.such.host.invalid is not an address of this machine"


def test_free_ports_are_different() -> None:
    """Ports that are asked for together are not alike."""
    assert len(set(free_ports(20))) == 20
