"""A replica of the detector pool: canvases of many requests in, batches of one shape through the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray import serve

from app.logs import configure_logging
from app.settings import load_settings
from deployments.args import POOL_PREFIX
from deployments.batches import logged_batch
from deployments.health import refuse_stuck
from deployments.metrics import export_metrics
from deployments.networks import open_network
from pipelines.batching import propose_grouped
from pipelines.lane import ThreadLane, give_back_memory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from deployments.args import AppArgs
    from pipelines.ports import DetectorSpec, Proposals


class DetectorPool:
    """Runs one network; ready once it has been warmed up."""

    def __init__(self, name: str, args: AppArgs) -> None:
        configure_logging()
        self._network = open_network(name, args, load_settings())
        self._lane = ThreadLane(workers=1, max_waiting=args.detector.max_waiting)
        export_metrics(f"{POOL_PREFIX}{name}")
        give_back_memory()
        batcher: Any = self._batched
        batcher.set_max_batch_size(args.detector.max_batch_size)
        batcher.set_batch_wait_timeout_s(args.detector.batch_wait_timeout_s)

    def spec(self) -> DetectorSpec:
        """Tell what the detector is."""
        return self._network.spec

    def check_health(self) -> None:
        """Have Serve replace a replica whose network does not come back.

        Raises:
            DependencyDown: it is stuck.
        """
        refuse_stuck(self._lane)

    async def propose(
        self, canvases: list[NDArray[np.uint8]], confidence: float, request_id: str | None = None
    ) -> list[Proposals]:
        """Return the proposals for each canvas of one picture."""
        return await self._batched((canvases, confidence, request_id))

    @serve.batch
    async def _batched(
        self, asked: list[tuple[list[NDArray[np.uint8]], float, str | None]]
    ) -> list[list[Proposals]]:
        with logged_batch("detector", [request_id for _, _, request_id in asked]):
            pictures = [(canvases, confidence) for canvases, confidence, _ in asked]
            return await self._lane.run(propose_grouped, self._network, pictures)
