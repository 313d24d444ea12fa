"""The documentation pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


async def test_the_pages_need_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    """Every script, style and picture of /docs comes from this service."""
    client.headers.pop("x-api-key")
    page = await client.get("/docs")
    assert page.status_code == 200
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) >= 3
    for link in links:
        assert link.startswith("/docs/assets/")
        assert (await client.get(link)).status_code == 200
    assert "://" not in page.text


async def test_the_schema_tells_the_whole_door(client: httpx.AsyncClient) -> None:
    """The OpenAPI document has the routes, the parameters, the form and the key."""
    schema = (await client.get("/openapi.json")).json()
    assert {"/health", "/api/v1/detect", "/api/v1/mask"} <= set(schema["paths"])
    mask = schema["paths"]["/api/v1/mask"]["post"]
    assert {parameter["name"] for parameter in mask["parameters"]} == {
        "confidence",
        "nms_threshold",
        "max_faces",
        "method",
        "strength",
        "padding",
        "format",
        "quality",
        "model",
    }
    form = mask["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["image"]
    assert mask["security"] == [{"APIKeyHeader": []}]
    assert set(mask["responses"]) >= {"200", "400", "401", "408", "413", "415", "422", "503"}
    refusal = mask["responses"]["422"]["content"]["application/json"]["schema"]["$ref"]
    assert refusal.endswith("/ErrorResponse")
