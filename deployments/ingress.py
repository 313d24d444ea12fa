"""A replica of the ingress: the web app over an engine that is here, in stages or in pools."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from app.api import create_app
from app.logs import configure_logging
from app.services import open_services
from app.settings import load_settings
from deployments.crop_handles import PoolCropNetworks
from deployments.handles import StageEngine, open_pools
from deployments.health import refuse_unready
from deployments.networks import open_analyzer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import FastAPI

    from deployments.args import AppArgs
    from pipelines.analyze_image import ImageAnalyzer
    from pipelines.ports import ImageEngine


SWITCH_INTERVAL_S = 0.0005


class Ingress:
    """Takes requests; ready once the engine behind it is.

    Args:
        args: the service's shape.
        stage: the decode stage, where it has replicas of its own.
        attributes: the attribute pool, where pictures are decoded here.
        leaving: deployments of the shape before this one; nothing here calls them.
        pools: detector pools by network name, where pictures are decoded here.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it: stage and pools are asked what they are
        self,
        args: AppArgs,
        stage: Any = None,  # noqa: ANN401 - handles have no types
        attributes: Any = None,  # noqa: ANN401 - as above
        leaving: Sequence[Any] = (),  # noqa: ARG002 - named so that Serve keeps them
        **pools: Any,  # noqa: ANN401 - as above
    ) -> None:
        configure_logging()
        # The lane leaves Python many times for one picture, and each time that it comes back it may wait this
        # long for a thread that is writing rows; by default that is more than a picture takes.
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        settings = load_settings()
        engine: ImageEngine
        #: Only what runs in this process: a stage that is away is no reason to replace the ingress.
        self._own: ImageAnalyzer | None = None
        if stage is not None:
            engine = await StageEngine.open(stage)
        else:
            detectors = await open_pools(pools) if pools else None
            crops = await PoolCropNetworks.open(attributes) if attributes is not None else None
            engine = self._own = open_analyzer(args, settings, args.ingress.max_waiting, detectors, crops)

        self._closing = AsyncExitStack()
        self._services = await self._closing.enter_async_context(
            open_services(settings, engine, is_behind_edge=True)
        )

    async def check_health(self) -> None:
        """Have Serve replace a replica whose lane does not come back.

        Raises:
            DependencyDown: it is stuck.
        """
        if self._own is not None:
            await refuse_unready(self._own)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Return the web app; Serve calls this once the constructor is done."""
        return create_app(self._services, self._closing.aclose)
