"""The page about administration names what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from app.admin.access import ADMIN_PATH
from app.api import create_app
from app.settings import PREFIX, Settings

if TYPE_CHECKING:
    from app.services import Services

PAGE = (Path(__file__).parents[2] / "docs" / "admin.md").read_text("utf-8")


def test_every_route_is_on_the_page(services: Services) -> None:
    """Each admin route stands in the table, and the table names no other."""
    there = {
        (method.upper(), re.sub(r"\{\w+\}", "{id}", path.removeprefix(f"{ADMIN_PATH}/")))
        for path, methods in create_app(services).openapi()["paths"].items()
        if path.startswith(ADMIN_PATH)
        for method in methods
    }
    told = set(re.findall(r"^\| `(GET|POST|PATCH|DELETE) ([^`? ]+)", PAGE, re.MULTILINE))
    assert told == there


def test_every_setting_on_the_page_exists() -> None:
    """No variable is told that nothing reads."""
    told = set(re.findall(rf"{PREFIX}([A-Z0-9_]+)", PAGE))
    assert told
    assert told <= {field.upper() for field in Settings.model_fields}
