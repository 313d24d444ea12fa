"""How the service is and was: the numbers behind the console's first page, for scripts as well.

traffic in stretches + tasks since then + minutes of the month + deployments -> Overview -> JSON, or plots
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Depends

from app.admin.access import ADMIN_PATH
from app.admin.overview_schemas import (
    DeploymentResponse,
    KeyMinutes,
    OverviewResponse,
    StretchResponse,
    TasksNow,
)
from app.admin.tiers import memory_of
from app.records.insight import month_of, names_of_keys, seconds_used
from app.records.task_counts import count_tasks, depths
from app.records.traffic import (
    FACES,
    FAILED,
    KINDS,
    MINUTE_S,
    QUARTER_S,
    REFUSED,
    REQUESTS,
    percentile,
    read_traffic,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.admin.access import AdminAccess
    from app.fleet import DeploymentState, Fleet
    from app.records.traffic import Stretch
    from app.services import Services

#: Keys whose minutes are told; the greatest.
MOST_KEYS = 8
SHARES: Final = (0.5, 0.95, 0.99)


class Window(str, Enum):
    """How far back is looked."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


@dataclass(frozen=True, slots=True)
class Grain:
    """How a window is cut: the rows that are read, the stretches that are told, and how far they go."""

    span_s: int
    step_s: int
    length: timedelta


GRAINS: Final[Mapping[Window, Grain]] = {
    Window.HOUR: Grain(MINUTE_S, MINUTE_S, timedelta(hours=1)),
    Window.DAY: Grain(QUARTER_S, QUARTER_S, timedelta(days=1)),
    Window.WEEK: Grain(QUARTER_S, 2 * 3600, timedelta(days=7)),
}


def overview_routes(services: Services, access: AdminAccess, fleet: Fleet | None) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix=ADMIN_PATH, dependencies=[Depends(access.require)])

    @router.get("/overview")
    async def overview(window: Window = Window.HOUR) -> OverviewResponse:
        """Tell what was asked and how it was answered over the last hour, day or week.

        For instance:

            curl -u "admin:$PASSWORD" "$URL/api/v1/admin/overview?window=day"
        """
        return await read_overview(services, fleet, window)

    return router


async def read_overview(services: Services, fleet: Fleet | None, window: Window) -> OverviewResponse:
    """Return everything at once."""
    database = memory_of(services).database
    grain = GRAINS[window]
    # The stretch that is now is the last: one step less of the past.
    since = datetime.now(timezone.utc) - grain.length + timedelta(seconds=grain.step_s)
    month = month_of()
    stretches, tasks, seconds, names, deployments = await asyncio.gather(
        read_traffic(database, grain.span_s, grain.step_s, since),
        count_tasks(database, since),
        seconds_used(database, month),
        names_of_keys(database),
        deployments_of(fleet),
    )
    ends = [stretch.at + timedelta(seconds=grain.step_s) for stretch in stretches]
    waiting, running = depths(tasks.spans, ends)
    # Those who wait since before the window are seen in the last number alone.
    waiting[-1], running[-1] = tasks.open_now.get("queued", 0), tasks.open_now.get("running", 0)
    return OverviewResponse(
        window=window.value,
        step_s=grain.step_s,
        stretches=[_told(each, *depth) for each, *depth in zip(stretches, waiting, running, strict=True)],
        latency_ms=_percentiles(_together(stretches)),
        tasks_by_status=dict(tasks.by_status),
        tasks_now=TasksNow(queued=waiting[-1], running=running[-1]),
        month=month,
        minutes_by_key=[
            KeyMinutes(api_key_id=owner, name=names.get(owner), minutes=round(media_s / 60, 2))
            for owner, media_s in list(seconds.items())[:MOST_KEYS]
        ],
        deployments=[DeploymentResponse.model_validate(each, from_attributes=True) for each in deployments],
    )


async def deployments_of(fleet: Fleet | None) -> tuple[DeploymentState, ...]:
    """Return how the deployments are, where somebody knows."""
    return () if fleet is None else await fleet.deployments()


def _told(stretch: Stretch, waiting: int, running: int) -> StretchResponse:
    counts = stretch.counts
    return StretchResponse(
        at=stretch.at,
        requests={kind: counts.get(REQUESTS + kind, 0) for _, kind in KINDS},
        faces=counts.get(FACES, 0),
        refused=counts.get(REFUSED, 0),
        failed=counts.get(FAILED, 0),
        latency_ms=_percentiles(stretch.classes),
        queued=waiting,
        running=running,
    )


def _together(stretches: list[Stretch]) -> dict[int, int]:
    classes: dict[int, int] = {}
    for stretch in stretches:
        for number, amount in stretch.classes.items():
            classes[number] = classes.get(number, 0) + amount
    return classes


def _percentiles(classes: Mapping[int, int]) -> dict[str, float | None]:
    found = {}
    for share in SHARES:
        took = percentile(classes, share)
        found[f"p{share * 100:.0f}"] = None if took is None else round(took, 1)
    return found
