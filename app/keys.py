"""Who may call: the key check as a port, and the one key of a service that remembers nothing.

A key is a 256-bit random secret, so one plain SHA-256 is enough to store it: there is nothing to guess, and
a slow hash would be paid on every request. Where there is a database its keys answer the port instead, see
`app.records.api_keys`.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pydantic import SecretStr

#: Our keys begin with this; a bootstrap key may be any text.
KEY_PREFIX = "ff_"
#: Longer texts are refused unread.
LONGEST_KEY = 512
#: How many characters of either end of a key are kept for a person to recognise it.
SHOWN = 4


@dataclass(frozen=True, slots=True)
class KeyIdentity:
    """Whose key it is, free of the key itself; `plan` decides how much it may ask for."""

    id: str
    name: str
    plan: str = "default"


class KeyStore(Protocol):
    """Knows the keys."""

    async def check(self, key: str) -> KeyIdentity | None:
        """Return whose key this is, or None."""


def new_secret() -> str:
    """Return a new key: 256 random bits as text."""
    return KEY_PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


class OnlyKey:
    """The key that the operator set, where there is no database for others."""

    def __init__(self, key: SecretStr | None) -> None:
        self._key = key

    async def check(self, key: str) -> KeyIdentity | None:
        """Return whose key this is, or None, taking the same time for every wrong one."""
        if self._key is None:
            return None
        right = self._key.get_secret_value().encode()
        given = key.encode("utf-8", "surrogateescape")
        return KeyIdentity("bootstrap", "bootstrap") if hmac.compare_digest(given, right) else None
