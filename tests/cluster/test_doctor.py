"""The doctor: what is wrong is said with what mends it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from app.settings import Settings
from cluster.doctor import (
    BAD,
    OK,
    WARNING,
    check_database,
    check_home,
    check_port,
    check_python,
    check_settings,
    check_weights,
    examine,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings of an empty home."""
    return Settings(home=tmp_path / "home", port=65000)


def test_an_empty_home_could_run(settings: Settings) -> None:
    """Nothing is bad before the first start; missing weights are told with the command that fetches them."""
    findings = {each.check: each for each in examine(settings, {})}
    assert {name for name, each in findings.items() if each.state == BAD} <= {"port", "disk"}
    assert findings["weights"].mend == "facefleet models pull"
    assert check_weights(settings).state == WARNING


def test_old_python() -> None:
    """A Python that is too old is told."""
    assert check_python((3, 9)).state == BAD
    assert check_python((3, 10)).state == OK


def test_mistyped_variables() -> None:
    """A variable that no setting reads is told with the one that is meant."""
    found = check_settings({"FACE_API_PROT": "1"})
    assert (found.state, "FACE_API_PORT" in found.text) == (WARNING, True)


def test_a_port_in_use(settings: Settings) -> None:
    """A port that another program holds is told with the setting that changes it."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        taken = settings.model_copy(update={"port": held.getsockname()[1]})
        found = check_port(taken)
    assert (found.state, "FACE_API_PORT" in found.mend) == (BAD, True)


def test_a_database_that_is_away(settings: Settings) -> None:
    """A database that does not answer is told, without its password."""
    url = SecretStr("postgresql://me:secret@127.0.0.1:9/none")
    found = check_database(settings.model_copy(update={"database_url": url}))
    assert found.state == BAD
    assert "secret" not in found.text + found.mend


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    """A home below a file is told."""
    (tmp_path / "file").touch()
    assert check_home(Settings(home=tmp_path / "file" / "home")).state == BAD
