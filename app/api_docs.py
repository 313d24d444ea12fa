"""The pages at /docs, with nothing fetched from elsewhere: many sites have no way out.

The framework's own page loads its scripts from a CDN; here they come out of an installed package.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import fastapi_offline
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.responses import HTMLResponse

ASSETS = "/docs/assets"


def add_docs(app: FastAPI) -> None:
    """Serve the pages, and all that they load, from this process."""
    folder = Path(fastapi_offline.__file__).parent / "static"

    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=app.openapi_url or "",
            title=app.title,
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}/favicon.png",
        )

    app.mount(ASSETS, StaticFiles(directory=folder), name="docs-assets")
    app.add_api_route("/docs", docs, include_in_schema=False)
