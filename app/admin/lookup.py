"""What an address names: an identifier, and what it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from app.db.ids import parse_id
from app.errors import NotFound

if TYPE_CHECKING:
    from uuid import UUID

T = TypeVar("T")


def known_id(text: str, what: str) -> UUID:
    """Return an identifier; a text that is none names nothing that is here.

    Raises:
        NotFound: it is none.
    """
    return known(parse_id(text), what)


def known(found: T | None, what: str) -> T:
    """Return what was found.

    Raises:
        NotFound: it was not.
    """
    if found is None:
        message = f"There is no {what} of this id."
        raise NotFound(message)
    return found
