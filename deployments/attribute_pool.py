"""A replica of the attribute pool: crops of many requests in, batches through each network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray import serve

from app.logs import configure_logging
from app.settings import load_settings
from deployments.batches import logged_batch
from deployments.crop_handles import CropParcel, unpack_crops
from deployments.health import refuse_stuck
from deployments.metrics import export_metrics
from deployments.networks import open_crop_networks
from pipelines.lane import ThreadLane, give_back_memory
from pipelines.read_attributes import answer_grouped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from deployments.args import AppArgs
    from pipelines.ports import CropSpec

    Arrays = dict[str, NDArray[np.uint8]]
    Rows = dict[str, NDArray[np.float32]]


class AttributePool:
    """Runs the networks that look at faces' crops; ready once each has been warmed up."""

    def __init__(self, args: AppArgs) -> None:
        configure_logging()
        networks = open_crop_networks(args, load_settings())
        self._networks = {network.spec.name: network for network in networks}
        self._lane = ThreadLane(workers=1, max_waiting=args.attributes.max_waiting)
        export_metrics("attributes")
        give_back_memory()
        batcher: Any = self._batched
        batcher.set_max_batch_size(args.attributes.max_batch_size)
        batcher.set_batch_wait_timeout_s(args.attributes.batch_wait_timeout_s)

    def specs(self) -> tuple[CropSpec, ...]:
        """List the loaded networks."""
        return tuple(network.spec for network in self._networks.values())

    def check_health(self) -> None:
        """Have Serve replace a replica whose networks do not come back.

        Raises:
            DependencyDown: one of them is stuck.
        """
        refuse_stuck(self._lane)

    async def answer(self, parcel: CropParcel, request_id: str | None = None) -> Rows:
        """Return each named network's rows for its crops."""
        return await self._batched((await unpack_crops(parcel), request_id))

    @serve.batch
    async def _batched(self, asked: list[tuple[Arrays, str | None]]) -> list[Rows]:
        with logged_batch("attributes", [request_id for _, request_id in asked]):
            return await self._lane.run(answer_grouped, self._networks, [crops for crops, _ in asked])
