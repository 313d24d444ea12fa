"""Who may call: the key check as a port, and the keys that live in a file or in the environment.

    X-API-Key: secret -> SHA-256 -> compared with every stored digest -> KeyIdentity

A key is a 256-bit random secret, so one plain SHA-256 is enough to store it: there is nothing to guess, and
a slow hash would be paid on every request.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Protocol

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pydantic import SecretStr

#: Our keys begin with this; a bootstrap key may be any text.
KEY_PREFIX = "ff_"
#: Longer texts are refused unread.
LONGEST_KEY = 512
#: How many characters of either end of a key are kept for a person to recognise it.
SHOWN = 4


class KeyFileBroken(Exception):
    """The file of keys is there but cannot be understood; nobody is let in by guess."""


@dataclass(frozen=True, slots=True)
class KeyIdentity:
    """Whose key it is, free of the key itself."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it is kept: its digest, and enough of its ends for a person to recognise it."""

    id: str
    name: str
    sha256: str
    key_prefix: str
    key_suffix: str
    created_at: str


class KeyStore(Protocol):
    """Knows the keys."""

    async def check(self, key: str) -> KeyIdentity | None:
        """Return whose key this is, or None."""


def new_secret() -> str:
    """Return a new key: 256 random bits as text."""
    return KEY_PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def digest(key: str) -> str:
    """Return what is stored of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def stored(key: str, name: str, *, key_id: str | None = None) -> StoredKey:
    """Return the record of a key."""
    return StoredKey(
        id=key_id or str(uuid.uuid4()),
        name=name,
        sha256=digest(key),
        key_prefix=key[: len(KEY_PREFIX) + SHOWN],
        key_suffix=key[-SHOWN:],
        created_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def match(key: str, keys: Iterable[StoredKey]) -> KeyIdentity | None:
    """Return whose key this is, taking the same time wherever and whether it is found."""
    if not 0 < len(key) <= LONGEST_KEY:
        return None
    asked = digest(key)
    found = None
    for known in keys:
        if hmac.compare_digest(asked, known.sha256):
            found = KeyIdentity(known.id, known.name)
    return found


class FileKeyStore:
    """Keys from `keys.json` in the home folder, and one from the environment.

    A change of the file is seen within `check_every_s`. A file that breaks while we run keeps its last good
    keys; one that is broken at the start stops the start.
    """

    def __init__(
        self, home: Path, bootstrap_key: SecretStr | None = None, *, check_every_s: float = 2.0
    ) -> None:
        self._check_every_s = check_every_s
        self._path = keys_path(home)
        self._bootstrap = (
            [stored(bootstrap_key.get_secret_value(), "bootstrap", key_id="bootstrap")]
            if bootstrap_key
            else []
        )
        self._stamp = _stamp(self._path)
        self._keys = [*self._bootstrap, *read_keys(self._path)]
        self._checked_at = time.monotonic()

    async def check(self, key: str) -> KeyIdentity | None:
        """Return whose key this is, or None."""
        now = time.monotonic()
        if now - self._checked_at >= self._check_every_s:
            self._checked_at = now
            self._reload()
        return match(key, self._keys)

    def _reload(self) -> None:
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            with suppress(KeyFileBroken):
                self._keys = [*self._bootstrap, *read_keys(self._path)]
                self._stamp = stamp


def keys_path(home: Path) -> Path:
    """Return where the keys of this home are kept."""
    return home / "keys.json"


def read_keys(path: Path) -> list[StoredKey]:
    """Return the keys in the file; none where there is no file.

    Raises:
        KeyFileBroken: the file cannot be read or understood.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return []
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise KeyFileBroken(message) from error
    try:
        return [StoredKey(**entry) for entry in json.loads(text)["keys"]]
    except (ValueError, KeyError, TypeError) as error:
        message = f"{path} is not a file of keys; move it away to start anew"
        raise KeyFileBroken(message) from error


def create_first_key(home: Path, name: str = "first key") -> str | None:
    """Make a key where there is none yet, and return it: it is shown this once and never again.

    Returns:
        The key, or None where there are keys already. Of two processes that start at once, one makes it.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = keys_path(home)
    with FileLock(f"{path}.lock"):
        if read_keys(path):
            return None
        key = new_secret()
        _write_keys(path, [stored(key, name)])
        return key


def _write_keys(path: Path, keys: list[StoredKey]) -> None:
    """Replace the file in one step; nobody but the owner can read it at any moment."""
    text = json.dumps({"version": 1, "keys": [asdict(key) for key in keys]}, indent=2)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)
