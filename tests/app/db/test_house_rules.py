"""One place opens transactions, and one place ends them."""

from __future__ import annotations

from pathlib import Path

import app

ROOM = Path(app.__file__).parent


def test_nobody_commits_by_hand() -> None:
    """A transaction ends with its block; a commit in the middle would let half a change out."""
    offenders = [str(path) for path in ROOM.rglob("*.py") if ".commit(" in path.read_text("utf-8")]
    assert offenders == []


def test_only_the_database_room_makes_engines() -> None:
    """No other module opens connections of its own."""
    offenders = [
        str(path)
        for path in ROOM.rglob("*.py")
        if "create_async_engine" in path.read_text("utf-8") and path.parent != ROOM / "db"
    ]
    assert offenders == []
