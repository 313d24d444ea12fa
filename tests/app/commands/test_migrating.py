"""`facefleet migrate`: the database's tables, before anything starts."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import typer
from typer.testing import CliRunner

from app.commands.migrating import migrate
from tests.servers import free_port

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def run() -> tuple[int, str]:
    """Run the command and return its exit code and what it printed."""
    app = typer.Typer()
    app.command()(migrate)
    result = CliRunner().invoke(app, [])
    return result.exit_code, result.output


def test_tables_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new database gets every table; one that has them is left as it is."""
    monkeypatch.setenv("FACE_API_HOME", str(tmp_path))
    for _ in range(2):
        assert run() == (0, "facefleet: the database is up to date\n")
    (file,) = tmp_path.glob("*.db")
    connection = sqlite3.connect(file)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert {"tasks", "libraries", "api_keys"} <= tables


def test_a_database_that_is_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code says that it may be tried again, which is what a job in a cluster does."""
    monkeypatch.setenv("FACE_API_HOME", str(tmp_path))
    monkeypatch.setenv("FACE_API_DATABASE_URL", f"postgresql://who@127.0.0.1:{free_port()}/faces")
    code, output = run()
    assert code == 6
    assert "Traceback" not in output
