"""What the web app is given by whoever starts it. Nothing in this room makes these itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from app.keys import KeyStore
    from app.settings import Settings
    from pipelines.ports import ImageEngine


class Dependency(Protocol):
    """A part that the service leans on and that may be away."""

    async def ready(self) -> bool:
        """Tell whether it answers."""


@dataclass(frozen=True, slots=True)
class Services:
    """The app's collaborators.

    Attributes:
        settings: what the operator set.
        engine: answers the pictures.
        keys: knows who may call.
        database: None where the service runs without one.
        storage: None where pictures are not kept.
        request_id_is_outside: whether a server around the app already puts `X-Request-Id` on every
            request and answer, so that the app must not repeat it.
    """

    settings: Settings
    engine: ImageEngine
    keys: KeyStore
    database: Dependency | None = None
    storage: Dependency | None = None
    request_id_is_outside: bool = False
