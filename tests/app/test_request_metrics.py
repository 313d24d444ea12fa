"""How requests are counted: under few kinds, whatever is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.request_metrics import metric_kind
from pipelines.metrics import REQUEST_SECONDS, REQUESTS, REQUESTS_IN_WORK

if TYPE_CHECKING:
    import httpx

    from pipelines.metrics import Count, Level, Spread


def value(metric: Count | Level | Spread, *labels: str, name: str = "") -> float:
    """Return what a metric says under these labels, 0 where it says nothing."""
    return sum(
        each.value
        for each in metric.readings()
        if each.name.endswith(name) and tuple(text for _, text in each.labels) == labels
    )


@pytest.mark.parametrize(
    ("route", "kind"),
    [
        ("/api/v1/detect", "detect"),
        ("/api/v1/mask", "mask"),
        ("/api/v1/admin/test/detect", "admin"),
        ("/v1/library/{library_id}/search", "libraries"),
        ("/v1/libraries", "libraries"),
        ("/v1/compare", "compare"),
        ("/v1/uploads/{upload_id}/complete", "uploads"),
        ("/v1/create-detection-task", "tasks"),
        ("/health", "health"),
        ("/console/keys", "other"),
    ],
)
def test_kinds_of_routes(route: str, kind: str) -> None:
    """A route's kind follows from how its path begins."""
    assert metric_kind(route) == kind


async def test_every_answer_is_counted_once(client: httpx.AsyncClient) -> None:
    """Good and bad answers, by status and with their time; what is over is in work no longer."""
    before = [value(REQUESTS, "health", "200"), value(REQUESTS, "detect", "422")]
    times = value(REQUEST_SECONDS, "detect", name="_count")
    for _ in range(3):
        assert (await client.get("/health")).status_code == 200
    assert (await client.post("/api/v1/detect?confidence=7", content=b"x")).status_code == 422
    assert value(REQUESTS, "health", "200") == before[0] + 3
    assert value(REQUESTS, "detect", "422") == before[1] + 1
    assert value(REQUEST_SECONDS, "detect", name="_count") == times + 1
    assert value(REQUESTS_IN_WORK) == 0
