"""The first page: how the service is doing, in a few plots; for a new one, how to make the first call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - as above

from app.admin.origins import own_url
from app.admin.overview import Window, read_overview
from app.console.gate import VIEWER
from app.console.plots import Series, lines, stacked_bars
from app.console.shown import milliseconds, short_count

if TYPE_CHECKING:
    from app.admin.overview_schemas import OverviewResponse
    from app.console.plots import Plot
    from app.console.rendering import Pages
    from app.fleet import Fleet
    from app.services import Services

#: The colour of each state, as in the plots.
STATES = (("succeeded", 6), ("running", 2), ("queued", 5), ("failed", 4), ("cancelled", 3))


def overview_page(router: APIRouter, pages: Pages, services: Services, fleet: Fleet | None) -> None:
    """Add the page to the routes behind the gate."""

    @router.get("/")
    async def overview(request: Request, window: Window = Window.HOUR) -> Response:
        found = await read_overview(services, fleet, window)
        requests = sum(sum(each.requests.values()) for each in found.stretches)
        refused = sum(each.refused for each in found.stretches)
        failed = sum(each.failed for each in found.stretches)
        return pages.show(
            "overview.html",
            viewer=request.scope[VIEWER],
            here=request.url.path,
            window=window.value,
            windows=[each.value for each in Window],
            found=found,
            plots=_plots(found),
            requests=requests,
            faces=sum(each.faces for each in found.stretches),
            refused=refused,
            failed=failed,
            states=[(name, colour, found.tasks_by_status.get(name, 0)) for name, colour in STATES],
            is_new=requests == 0 and await _is_unused(services),
            url=own_url(request, services.settings.public_url),
            needs_key=services.settings.api_key_enabled,
        )


async def _is_unused(services: Services) -> bool:
    """Tell whether nobody ever sent anything."""
    storage = services.memory.storage if services.memory else None
    if storage is None:
        return True
    return (await storage.reader.stats()).jobs == 0


def _plots(found: OverviewResponse) -> dict[str, Plot]:
    stretches = found.stretches
    times = [each.at for each in stretches]

    def requests(name: str) -> list[float | None]:
        return [each.requests.get(name, 0) for each in stretches]

    def latency(name: str) -> list[float | None]:
        return [each.latency_ms[name] for each in stretches]

    return {
        "requests": stacked_bars(
            times,
            [
                Series("detect", 1, requests("detect")),
                Series("mask", 2, requests("mask")),
                Series("tasks", 3, requests("tasks")),
            ],
            short_count,
        ),
        "faces": lines(
            times, [Series("faces", 1, [each.faces for each in stretches])], short_count, filled=True
        ),
        "errors": stacked_bars(
            times,
            [
                Series("refused (4xx)", 3, [each.refused for each in stretches]),
                Series("failed (5xx)", 4, [each.failed for each in stretches]),
            ],
            short_count,
        ),
        "latency": lines(
            times,
            [
                Series("p50", 1, latency("p50")),
                Series("p95", 2, latency("p95")),
                Series("p99", 3, latency("p99")),
            ],
            milliseconds,
        ),
        "queue": lines(
            times,
            [
                Series("waiting", 5, [each.queued for each in stretches]),
                Series("running", 2, [each.running for each in stretches]),
            ],
            short_count,
            filled=True,
        ),
    }
