"""The picture engine of a process: in it, or behind the handles that it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deployments.crop_handles import PoolCropNetworks
from deployments.handles import StageEngine, open_pools
from deployments.networks import open_analyzer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.settings import Settings
    from deployments.args import AppArgs
    from pipelines.analyze_image import ImageAnalyzer
    from pipelines.ports import ImageEngine


async def open_engine(
    args: AppArgs,
    settings: Settings,
    stage: Any,  # noqa: ANN401 - handles have no types
    attributes: Any,  # noqa: ANN401 - as above
    pools: Mapping[str, Any],
    *,
    embeds_late: bool = False,
) -> tuple[ImageEngine, ImageAnalyzer | None]:
    """Return the engine, and what of it runs in this process.

    Args:
        args: the service's shape.
        settings: the operator's settings.
        stage: the decode stage, where it has replicas of its own.
        attributes: the attribute pool, where pictures are decoded here.
        pools: detector pools by network name, where pictures are decoded here.
        embeds_late: open the network that people are recognised by when it is first asked.
    """
    if stage is not None:
        return await StageEngine.open(stage), None
    detectors = await open_pools(pools) if pools else None
    crops = await PoolCropNetworks.open(attributes) if attributes is not None else None
    analyzer = open_analyzer(
        args, settings, args.ingress.max_waiting, detectors, crops, embeds_late=embeds_late
    )
    return analyzer, analyzer
