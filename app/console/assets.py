"""Scripts, styles and pictures of the console, under an address that changes with any of them.

A browser may therefore keep them for good; nothing is ever stale, and no page waits to find that out.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from starlette.responses import Response

PREFIX = "/console"
FOLDER = Path(__file__).parent / "static"
HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


class LastingFiles(StaticFiles):
    """Files that never change at their address."""

    async def get_response(self, path: str, scope: MutableMapping[str, Any]) -> Response:
        """Answer with the file, and say that it may be kept."""
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def assets_path() -> str:
    """Return where this build's files lie; any change to one of them gives another place."""
    digest = hashlib.sha256()
    for file in sorted(FOLDER.rglob("*")):
        if file.is_file():
            digest.update(file.relative_to(FOLDER).as_posix().encode())
            digest.update(file.read_bytes())
    return f"{PREFIX}/{digest.hexdigest()[:16]}"
