"""A service that is taken out of work: what it refuses, what it still answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from app.api import create_app
from app.draining import is_new_work
from tests.app.conftest import client_of

if TYPE_CHECKING:
    from app.services import Services


@pytest.mark.parametrize(
    ("method", "path", "is_new"),
    [
        ("POST", "/api/v1/detect", True),
        ("POST", "/v1/create-mask-task", True),
        ("PUT", "/v1/uploads/a/parts/1", True),
        ("POST", "/api/v1/admin/test/detect", True),
        ("GET", "/v1/task/task_1", False),
        ("HEAD", "/health", False),
        ("POST", "/v1/task/task_1/cancel", False),
        ("DELETE", "/v1/task/task_1", False),
        ("POST", "/api/v1/admin/api-keys", False),
        ("POST", "/console/login", False),
    ],
)
def test_what_adds_work_is_told_from_what_does_not(method: str, path: str, is_new: bool) -> None:  # noqa: FBT001
    """Pictures, tasks and uploads are new work; looking, ending, deleting and administration are not."""
    assert is_new_work(method, path) is is_new


async def test_new_work_is_refused_and_health_says_so(services: Services, key: str) -> None:
    """Both say 503 in words; the refusal says when to come again, and is no bug."""
    async with client_of(create_app(replace(services, is_draining=True)), key) as client:
        refused = await client.post("/api/v1/detect", files={"image": b"\xff\xd8\xff"})
        health = await client.get("/health")
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "30"
    assert "begins nothing new" in refused.json()["detail"]
    assert health.status_code == 503
    assert health.json()["model_loaded"] is True
    assert "taken out of work" in health.json()["detail"]
