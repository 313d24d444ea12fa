"""A replica of the ingress: the web app over an engine that is here, in stages or in pools."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from app.api import create_app
from app.libraries.opening import open_libraries
from app.logs import configure_logging
from app.services import open_services
from app.settings import load_settings
from app.tasks.mentions import TaskMentions
from app.tasks.opening import open_tasks
from deployments.engine import open_engine
from deployments.fleet import RayFleet
from deployments.health import refuse_unready
from deployments.metrics import export_metrics
from deployments.networks import embedding_model, offered_attributes
from pipelines.lane import give_back_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import FastAPI

    from app.libraries.opening import Libraries
    from app.tasks.opening import Tasks
    from deployments.args import AppArgs

SWITCH_INTERVAL_S = 0.0005

log = structlog.get_logger(__name__)


class Ingress:
    """Takes requests; ready once the engine behind it is.

    Args:
        args: the service's shape.
        runner: runs tasks; None where there are none.
        stage: the decode stage, where it has replicas of its own.
        attributes: the attribute pool, where pictures are decoded here.
        leaving: deployments of the shape before this one; nothing here calls them.
        pools: detector pools by network name, where pictures are decoded here.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it: stage and pools are asked what they are
        self,
        args: AppArgs,
        runner: Any = None,  # noqa: ANN401 - handles have no types
        stage: Any = None,  # noqa: ANN401 - as above
        attributes: Any = None,  # noqa: ANN401 - as above
        leaving: Sequence[Any] = (),  # noqa: ARG002 - named so that Serve keeps them
        **pools: Any,  # noqa: ANN401 - as above
    ) -> None:
        configure_logging()
        # The lane leaves Python many times for one picture, and each time that it comes back it may wait this
        # long for a thread that is writing rows; by default that is more than a picture takes.
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        settings = load_settings()
        # Only what runs in this process: a stage that is away is no reason to replace the ingress.
        engine, self._own = await open_engine(args, settings, stage, attributes, pools)
        self._closing = AsyncExitStack()
        self._services = await self._closing.enter_async_context(
            open_services(settings, engine, is_behind_edge=True, is_draining=args.draining)
        )
        self._tasks: Tasks | None = None
        self._libraries: Libraries | None = None
        if runner is not None:
            self._tasks = await self._closing.enter_async_context(
                open_tasks(
                    self._services,
                    attributes=offered_attributes(args, settings),
                    wake=partial(_wake, runner),
                )
            )
            model = embedding_model(args, settings)
            if model is not None:
                self._libraries = await self._closing.enter_async_context(
                    open_libraries(
                        self._services,
                        model,
                        uploads=self._tasks.uploads,
                        mentions=TaskMentions(self._tasks.wake),
                    )
                )
        self._fleet = RayFleet(args)
        export_metrics("ingress")
        give_back_memory()

    async def check_health(self) -> None:
        """Have Serve replace a replica whose lane does not come back.

        Raises:
            DependencyDown: it is stuck.
        """
        if self._own is not None:
            await refuse_unready(self._own)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Return the web app; Serve calls this once the constructor is done."""
        return create_app(self._services, self._closing.aclose, self._tasks, self._fleet, self._libraries)


def _wake(runner: Any) -> None:  # noqa: ANN401 - a handle has no type
    """Tell a runner that there is work; nobody waits for it to hear that."""
    sending = asyncio.ensure_future(runner.wake.remote())
    sending.add_done_callback(_heard)


def _heard(sending: asyncio.Future[None]) -> None:
    # A runner that is not there looks for work when it is.
    if not sending.cancelled() and (error := sending.exception()) is not None:
        log.info("no runner was woken", reason=type(error).__name__)
