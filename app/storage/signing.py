"""Addresses that open one object until a certain time, for the local folder."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from app.storage.port import checked_key

if TYPE_CHECKING:
    from pathlib import Path

SECRET_BYTES = 32


class UrlSigner:
    """Signs with a secret that only this service knows: whoever changes key or time needs a new signature."""

    def __init__(self, secret: bytes, base_url: str) -> None:
        if len(secret) < SECRET_BYTES:
            message = "the secret that signs URLs is too short"
            raise ValueError(message)
        self._secret = secret
        self._base_url = base_url.rstrip("/")

    def sign(self, key: str, expires_at: int) -> str:
        """Return the signature of a key and a Unix time."""
        said = f"GET\n{checked_key(key)}\n{expires_at}".encode()
        return hmac.new(self._secret, said, hashlib.sha256).hexdigest()

    def verify(self, key: str, expires_at: int, signature: str, now: float | None = None) -> bool:
        """Tell whether the signature is ours and its time has not passed."""
        genuine = hmac.compare_digest(self.sign(key, expires_at).encode(), signature.encode())
        return genuine and (time.time() if now is None else now) < expires_at

    def url(self, key: str, expires_in_s: int) -> str:
        """Return the address to give away."""
        expires_at = int(time.time()) + expires_in_s
        return f"{self._base_url}/{quote(key)}?expires={expires_at}&signature={self.sign(key, expires_at)}"


def read_or_make_secret(path: Path) -> bytes:
    """Return the secret in the file; of several processes that find none, one makes it for all."""
    if not path.exists():
        write_once(path, secrets.token_bytes(SECRET_BYTES))
    return path.read_bytes()


def write_once(path: Path, data: bytes) -> bool:
    """Write a file that does not exist yet, whole or not at all; tell whether this call was the one.

    Only the owner can read it, at any moment of its life.
    """
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # refuses where another process was first
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True
