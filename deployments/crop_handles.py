"""The attribute pool as the port that the reader of faces knows: crops go out, rows of numbers come back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import ray
from ray.exceptions import ObjectLostError

from app.logs import current_request_id
from deployments.handles import INLINE_BYTES, RESTARTING, call
from pipelines.errors import DependencyDown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from pipelines.ports import CropSpec

    Crops = Mapping[str, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class CropParcel:
    """Crops on their way between replicas: as they are, or as a reference into the object store."""

    crops: Crops | None
    reference: object | None


async def pack_crops(crops: Crops) -> CropParcel:
    """Return the crops ready to be sent."""
    if sum(each.nbytes for each in crops.values()) <= INLINE_BYTES:
        return CropParcel(dict(crops), None)
    return CropParcel(None, await asyncio.to_thread(ray.put, dict(crops)))


async def unpack_crops(parcel: CropParcel) -> dict[str, NDArray[np.uint8]]:
    """Return the crops that were sent.

    Raises:
        DependencyDown: whoever sent them died meanwhile.
    """
    if parcel.crops is not None:
        return dict(parcel.crops)
    try:
        return cast("dict[str, NDArray[np.uint8]]", await cast("Awaitable[Any]", parcel.reference))
    except ObjectLostError as error:
        raise DependencyDown(RESTARTING) from error


class PoolCropNetworks:
    """Networks of crops in a pool of replicas."""

    @classmethod
    async def open(cls, handle: Any) -> Self:  # noqa: ANN401 - a handle has no types
        """Return the networks behind this handle."""
        return cls(handle, await call(handle.specs))

    def __init__(self, handle: Any, specs: tuple[CropSpec, ...]) -> None:  # noqa: ANN401 - as above
        self._handle = handle
        self._specs = specs

    @property
    def specs(self) -> tuple[CropSpec, ...]:
        """List the loaded networks."""
        return self._specs

    async def answer(self, crops: Crops) -> Mapping[str, NDArray[np.float32]]:
        """Return each named network's rows for its crops, all in one message."""
        if not crops:
            return {}
        rows = await call(self._handle.answer, await pack_crops(crops), current_request_id())
        return cast("dict[str, NDArray[np.float32]]", rows)
