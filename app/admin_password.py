"""The administrator's password: kept as an Argon2 hash, or never kept where the operator sets it himself."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import time
from typing import TYPE_CHECKING

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.storage.signing import write_once

if TYPE_CHECKING:
    from pathlib import Path

    from app.settings import Settings

log = structlog.get_logger(__name__)

LONGEST_PASSWORD = 1024
REMEMBER_S = 60.0
HASH_FILE = "admin_password.argon2"
#: Fits no password.
NOBODYS = ""


class AdminPassword:
    """Compares names and passwords with the only ones that are right.

    Argon2 is slow on purpose; clients that send Basic credentials with each request would feel it each time.
    So a pair that was right is remembered for a minute, as a keyed digest that is worth nothing elsewhere.

    Args:
        username: the administrator's name.
        password_hash: the password's hash.
        mark: stands for the password in sessions, the same in every process; nobody comes back from it.
    """

    def __init__(self, username: str, password_hash: str, mark: bytes = b"") -> None:
        self.mark = mark
        self._username = username
        self._hash = password_hash
        self._hasher = PasswordHasher()
        self._session_key = os.urandom(32)
        self._remembered: tuple[bytes, float] = (b"", 0.0)
        # One at a time: each takes 64 MiB for a moment, and a flood of guesses must not take more.
        self._gate = asyncio.Lock()

    def remembers(self, username: str, password: str) -> bool:
        """Tell whether both were right a short time ago, which costs nothing to find out."""
        known, until = self._remembered
        return time.monotonic() < until and hmac.compare_digest(known, self._digest(username, password))

    async def verify(self, username: str, password: str) -> bool:
        """Tell whether both are right, taking as long whichever is wrong."""
        if len(password) > LONGEST_PASSWORD:
            return False
        if self.remembers(username, password):
            return True
        async with self._gate:
            password_fits = await asyncio.to_thread(self._fits, password)
        name_fits = hmac.compare_digest(_text(username), _text(self._username))
        if password_fits and name_fits:
            self._remembered = (self._digest(username, password), time.monotonic() + REMEMBER_S)
            return True
        return False

    def _digest(self, username: str, password: str) -> bytes:
        return hmac.new(self._session_key, _joined(username, password), hashlib.sha256).digest()

    def _fits(self, password: str) -> bool:
        try:
            return self._hasher.verify(self._hash, _text(password))
        except (VerificationError, InvalidHashError):
            return False


async def open_admin_password(settings: Settings) -> AdminPassword:
    """Return what knows the password that the operator set, or else the one that the first start made."""
    given = settings.admin_password.get_secret_value() if settings.admin_password else None
    kept = await asyncio.to_thread(_hash_for, given, settings.home)
    if kept is None:
        log.warning("no administrator can log in", remedy="set FACE_API_ADMIN_PASSWORD")
    mark = await asyncio.to_thread(_mark_of, given or kept or NOBODYS)
    return AdminPassword(settings.admin_username, kept or NOBODYS, mark)


def _hash_for(given: str | None, home: Path) -> str | None:
    return kept_password_hash(home) if given is None else hash_password(given)


def _mark_of(secret: str) -> bytes:
    """Return what is the same in all processes with this secret; slow, lest it be guessed from a session."""
    return hashlib.scrypt(_text(secret), salt=b"facefleet sessions", n=2**14, r=8, p=1)


def hash_password(password: str) -> str:
    """Return what may be kept of a password."""
    return PasswordHasher().hash(_text(password))


def first_admin_password(home: Path) -> str | None:
    """Make a password where none was made, keep its hash, and return it: it is shown this once.

    Returns:
        The password, or None where there is one already. Of two processes that start at once, one makes it.
    """
    password = secrets.token_urlsafe(18)
    was_first = write_once(_hash_path(home), hash_password(password).encode())
    return password if was_first else None


def kept_password_hash(home: Path) -> str | None:
    """Return the hash of the password that was made at the first start, or None."""
    try:
        return _hash_path(home).read_text("utf-8")
    except FileNotFoundError:
        return None


def _hash_path(home: Path) -> Path:
    return home / "secrets" / HASH_FILE


def _text(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _joined(username: str, password: str) -> bytes:
    return len(username).to_bytes(4, "big") + _text(username) + _text(password)
