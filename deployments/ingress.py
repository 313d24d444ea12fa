"""A replica of the ingress: the web app over an engine that is here, in stages or in pools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.api import create_app
from app.keys import FileKeyStore
from app.services import Services
from app.settings import load_settings
from deployments.handles import StageEngine, open_pools
from deployments.networks import open_analyzer

if TYPE_CHECKING:
    from fastapi import FastAPI

    from deployments.args import AppArgs
    from pipelines.ports import ImageEngine


class Ingress:
    """Takes requests; ready once the engine behind it is.

    Args:
        args: the service's shape.
        stage: the decode stage, where it has replicas of its own.
        pools: detector pools by network name, where pictures are decoded here.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it: stage and pools are asked what they are
        self,
        args: AppArgs,
        stage: Any = None,  # noqa: ANN401 - handles have no types
        **pools: Any,  # noqa: ANN401 - as above
    ) -> None:
        self._settings = load_settings()
        self._engine: ImageEngine
        if stage is not None:
            self._engine = await StageEngine.open(stage)
        else:
            detectors = await open_pools(pools) if pools else None
            self._engine = open_analyzer(args, self._settings, args.ingress.max_waiting, detectors)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Return the web app; Serve calls this once the constructor is done."""
        keys = FileKeyStore(self._settings.home, self._settings.bootstrap_key)
        return create_app(
            Services(self._settings, self._engine, keys, request_id_is_outside=True),
        )
