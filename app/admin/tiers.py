"""The parts of the service that may be switched off, for routes that need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.errors import NotOffered

if TYPE_CHECKING:
    from app.persistence import Persistence, Storage
    from app.services import Services


def memory_of(services: Services) -> Persistence:
    """Return the database tier.

    Raises:
        NotOffered: it is switched off.
    """
    if services.memory is None:
        message = "This needs the database, which is switched off (FACE_API_DATABASE_ENABLED=false)."
        raise NotOffered(message)
    return services.memory


def storage_of(services: Services) -> Storage:
    """Return the storage tier.

    Raises:
        NotOffered: it is switched off.
    """
    storage = services.memory.storage if services.memory else None
    if storage is None:
        message = "This needs storage, which is switched off (FACE_API_STORAGE_ENABLED=false)."
        raise NotOffered(message)
    return storage
