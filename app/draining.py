"""A service that is taken out of work: it answers what changes nothing, and what ends or deletes something.

What would be new work is refused with 503 and `Retry-After`, so that a caller, or a balancer in front, goes
elsewhere or comes again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.admin.access import ADMIN_PATH
from app.console.assets import PREFIX as CONSOLE_PATH
from pipelines.errors import Unavailable

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

DRAINING: Final = "the service is being taken out of work; it begins nothing new"
RETRY_AFTER_S: Final = 30
_ADDING: Final = frozenset({"POST", "PUT", "PATCH"})
_TRYING: Final = f"{ADMIN_PATH}/test/"
_ENDING: Final = "/cancel"


class NoNewWork:
    """Refuses what would be new work."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is none.

        Raises:
            Unavailable: it would be new work.
        """
        if scope["type"] == "http" and is_new_work(scope["method"], scope["path"]):
            raise Unavailable(DRAINING, RETRY_AFTER_S)
        await self._app(scope, receive, send)


def is_new_work(method: str, path: str) -> bool:
    """Tell whether a request would give the service something to do beyond its answer."""
    if method not in _ADDING or path.endswith(_ENDING):
        return False
    is_operators = path.startswith((f"{ADMIN_PATH}/", f"{CONSOLE_PATH}/"))
    return not is_operators or path.startswith(_TRYING)
