"""A replica of the decode stage: pixels are born here and stay here."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from app.logs import configure_logging, traced
from app.settings import load_settings
from deployments.crop_handles import PoolCropNetworks
from deployments.handles import Parcel, open_pools, pack, unpack
from deployments.health import refuse_unready
from deployments.metrics import export_metrics
from deployments.networks import open_analyzer
from pipelines.lane import give_back_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deployments.args import AppArgs
    from pipelines.ports import DetectorSpec
    from pipelines.results import Detection, DetectOptions, EncodeOptions, MaskedImage, MaskOptions

log = structlog.get_logger(__name__)


class ImageStage:
    """Answers pictures for the ingress, with networks inline or in the pools it is given."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it: the pools are asked what they are
        self,
        args: AppArgs,
        attributes: Any = None,  # noqa: ANN401 - handles have no types
        **pools: Any,  # noqa: ANN401 - as above
    ) -> None:
        configure_logging()
        settings = load_settings()
        detectors = await open_pools(pools) if pools else None
        crops = await PoolCropNetworks.open(attributes) if attributes is not None else None
        self._analyzer = open_analyzer(args, settings, args.stage.max_waiting, detectors, crops)
        export_metrics("stage")
        give_back_memory()

    async def specs(self) -> tuple[DetectorSpec, ...]:
        """List the loaded detectors, the default one first."""
        return self._analyzer.detectors

    async def ready(self) -> bool:
        """Tell whether a picture sent now would be answered."""
        return await self._analyzer.ready()

    async def check_health(self) -> None:
        """Have Serve replace a replica whose lane does not come back.

        Raises:
            DependencyDown: it is stuck.
        """
        await refuse_unready(self._analyzer)

    async def detect(
        self, parcel: Parcel, options: DetectOptions, request_id: str | None = None
    ) -> Detection:
        """Find the faces in a picture."""
        with _logged("detect", request_id):
            return await self._analyzer.detect(await unpack(parcel), options)

    async def mask(
        self,
        parcel: Parcel,
        options: DetectOptions,
        mask: MaskOptions,
        encode: EncodeOptions,
        request_id: str | None = None,
    ) -> tuple[MaskedImage, Parcel]:
        """Find the faces and hide them; the picture's bytes travel beside the rest of the answer."""
        with _logged("mask", request_id):
            masked = await self._analyzer.mask(await unpack(parcel), options, mask, encode)
            return replace(masked, data=b""), await pack(masked.data)


@contextmanager
def _logged(work: str, request_id: str | None) -> Iterator[None]:
    """Write a line about a picture's time here, under the request's id like all that is written meanwhile."""
    begun = time.perf_counter()
    with traced(request_id):
        try:
            yield
        finally:
            log.info("picture", work=work, ms=round((time.perf_counter() - begun) * 1e3, 1))
