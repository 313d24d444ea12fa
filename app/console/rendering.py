"""Templates become answers: all that is shown is escaped, and the browser is told to run our files only.

The pages have no script and no style within them, so that a name with markup in it, should it ever get past
the escaping, would still do nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from app.console.shown import FILTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

TEMPLATES = Path(__file__).parent / "templates"


def content_policy(picture_origins: Sequence[str] = ()) -> str:
    """Return the policy that browsers hold the pages to.

    Args:
        picture_origins: where pictures and videos come from beside this server: the object storage.
    """
    places = " ".join(("'self'", "blob:", *picture_origins))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src {places} data:",
            f"media-src {places}",
            "connect-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


class Pages:
    """Renders the console's templates.

    Args:
        assets: where the files are.
        picture_origins: see `content_policy`.
        has_libraries: whether there is anything behind the way to them.
    """

    def __init__(
        self, assets: str, picture_origins: Sequence[str] = (), *, has_libraries: bool = False
    ) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(FILTERS)
        self._environment.globals["has_libraries"] = has_libraries
        self._environment.globals["static"] = lambda name: f"{assets}/{name}"
        self._headers = {
            "Content-Security-Policy": content_policy(picture_origins),
            "X-Content-Type-Options": "nosniff",
            # Not `no-referrer`: a form's origin would be hidden from ourselves as well.
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
            # What is shown here is for whoever is logged in, and not for whoever goes back after a logout.
            "Cache-Control": "no-store",
        }

    def show(self, template: str, http_status: int = 200, /, **values: Any) -> HTMLResponse:  # noqa: ANN401 - a page's
        """Return a page."""
        text = self._environment.get_template(template).render(**values)
        return HTMLResponse(text, http_status, headers=self._headers)
