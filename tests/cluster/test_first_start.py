"""What the first start makes, and what later ones leave alone."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pydantic import SecretStr

from app.admin_password import open_admin_password
from app.persistence import open_persistence
from app.services import persistence_options
from app.settings import Settings
from cluster.first_start import make_first_secrets

if TYPE_CHECKING:
    from pathlib import Path


async def test_key_and_password_work(tmp_path: Path) -> None:
    """What is shown opens the doors, and nothing of it can be read from the disk."""
    settings = Settings(home=tmp_path)
    made = await asyncio.to_thread(make_first_secrets, settings)
    assert made.key is not None
    assert made.admin_password is not None
    async with open_persistence(persistence_options(settings)) as opened:
        assert await opened.keys.check(made.key) is not None
    assert await (await open_admin_password(settings)).verify("admin", made.admin_password)
    on_disk = all_bytes(tmp_path)
    assert made.key.encode() not in on_disk
    assert made.admin_password.encode() not in on_disk


def all_bytes(folder: Path) -> bytes:
    """Return all that lies in a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_second_start_makes_nothing(tmp_path: Path) -> None:
    """Both are there already, and are not shown again."""
    make_first_secrets(Settings(home=tmp_path))
    again = make_first_secrets(Settings(home=tmp_path))
    assert (again.key, again.admin_password, again.trouble) == (None, None, None)


def test_what_the_operator_set_is_not_made(tmp_path: Path) -> None:
    """A key and a password of his own are enough; where keys are off, none is made."""
    own = Settings(home=tmp_path, bootstrap_key=SecretStr("k"), admin_password=SecretStr("p"))
    made = make_first_secrets(own)
    assert (made.key, made.admin_password) == (None, None)
    made = make_first_secrets(Settings(home=tmp_path, api_key_enabled=False))
    assert made.key is None
    assert made.admin_password is not None


def test_two_starts_at_once_make_one_password(tmp_path: Path) -> None:
    """Of those that start together, one shows it."""
    settings = Settings(home=tmp_path, bootstrap_key=SecretStr("k"))
    with ThreadPoolExecutor(4) as starts:
        made = list(starts.map(make_first_secrets, [settings] * 4))
    assert sum(each.admin_password is not None for each in made) == 1


def test_a_database_that_is_away_is_told(tmp_path: Path) -> None:
    """No key can be made then; the start goes on and says why."""
    settings = Settings(home=tmp_path, database_url=SecretStr("postgresql://x:y@127.0.0.1:1/none"))
    made = make_first_secrets(settings)
    assert made.key is None
    assert made.trouble
    assert made.admin_password is not None
