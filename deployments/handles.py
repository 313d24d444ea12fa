"""Deployment handles as the ports that the use cases know: transport, timeouts and errors end here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import ray
from ray.exceptions import ObjectLostError, RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException

from app.logs import current_request_id
from pipelines.errors import DependencyDown, FacefleetError, Overloaded
from pipelines.metrics import RETRIES
from pipelines.results import MaskedImage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from pipelines.ports import Detector, DetectorSpec, Proposals
    from pipelines.results import Detection, DetectOptions, EncodeOptions, MaskOptions

T = TypeVar("T")

#: Larger values go through the object store: messages between replicas are capped at 4 MiB, and copying
#: them is dear long before that.
INLINE_BYTES = 1024 * 1024
TIMEOUT_S = 60.0
#: A replica that dies takes its requests along; they change nothing, so they are sent once more.
ATTEMPTS = 2
RESTARTING = "a stage of the service is restarting"


class _Method(Protocol):
    def remote(self, *args: object) -> Awaitable[Any]: ...


@dataclass(frozen=True, slots=True)
class Parcel:
    """Bytes on their way between replicas: as they are, or as a reference into the object store."""

    data: bytes | None
    reference: object | None


async def pack(data: bytes) -> Parcel:
    """Return the bytes ready to be sent."""
    if len(data) <= INLINE_BYTES:
        return Parcel(data, None)
    # On a thread: the object store may have to make room first.
    return Parcel(None, await asyncio.to_thread(ray.put, data))


async def unpack(parcel: Parcel) -> bytes:
    """Return the bytes that were sent.

    Raises:
        DependencyDown: whoever sent them died meanwhile.
    """
    if parcel.data is not None:
        return parcel.data
    try:
        return cast("bytes", await cast("Awaitable[Any]", parcel.reference))
    except ObjectLostError as error:
        raise DependencyDown(RESTARTING) from error


async def call(method: _Method, *args: object) -> Any:  # noqa: ANN401 - a handle knows no types
    """Call a replica and return its answer, its error as a domain error.

    Raises:
        FacefleetError: what the replica raised.
        Overloaded: the replicas have too much to do.
        DependencyDown: no replica answered.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await asyncio.wait_for(_sent(method, args), TIMEOUT_S)
        except RayTaskError as error:
            if isinstance(error.cause, FacefleetError):
                raise error.cause from None
            raise
        except BackPressureError as error:
            message = "all replicas are busy"
            raise Overloaded(message) from error
        except (RayActorError, DeploymentUnavailableError, ConnectionError) as error:
            if attempt == ATTEMPTS:
                raise DependencyDown(RESTARTING) from error
            RETRIES.add(1, "call")
        except asyncio.TimeoutError as error:
            message = "a stage of the service did not answer in time"
            raise DependencyDown(message) from error
    raise AssertionError


async def _sent(method: _Method, args: tuple[object, ...]) -> object:
    return await method.remote(*args)


class PoolDetector:
    """A detector in a pool of replicas."""

    def __init__(self, handle: Any, spec: DetectorSpec) -> None:  # noqa: ANN401 - a handle has no types
        self._handle = handle
        self._spec = spec

    @property
    def spec(self) -> DetectorSpec:
        """Tell what the detector is."""
        return self._spec

    async def propose(self, canvases: Sequence[NDArray[np.uint8]], confidence: float) -> list[Proposals]:
        """Return the proposals for each canvas, all in one message."""
        return cast(
            "list[Proposals]",
            await call(self._handle.propose, list(canvases), confidence, current_request_id()),
        )


async def open_pools(handles: Mapping[str, Any]) -> dict[str, Detector]:
    """Return the pools behind these handles by the name of their network, in the same order."""
    specs = [await call(handle.spec) for handle in handles.values()]
    return {
        spec.name: PoolDetector(handle, spec) for spec, handle in zip(specs, handles.values(), strict=True)
    }


class StageEngine:
    """The picture engine in a pool of decode stages."""

    @classmethod
    async def open(cls, handle: Any) -> Self:  # noqa: ANN401 - a handle has no types
        """Return the engine behind this handle."""
        return cls(handle, await call(handle.specs))

    def __init__(self, handle: Any, specs: tuple[DetectorSpec, ...]) -> None:  # noqa: ANN401 - as above
        self._handle = handle
        self._specs = specs

    @property
    def detectors(self) -> tuple[DetectorSpec, ...]:
        """List the loaded detectors, the default one first."""
        return self._specs

    async def detect(self, data: bytes, options: DetectOptions) -> Detection:
        """Find the faces in a picture."""
        return cast(
            "Detection", await call(self._handle.detect, await pack(data), options, current_request_id())
        )

    async def mask(
        self, data: bytes, options: DetectOptions, mask: MaskOptions, encode: EncodeOptions
    ) -> MaskedImage:
        """Find the faces in a picture and return it with the faces made unrecognisable."""
        masked, parcel = await call(
            self._handle.mask, await pack(data), options, mask, encode, current_request_id()
        )
        return MaskedImage(masked.detection, await unpack(parcel), masked.format, masked.regions)

    async def ready(self) -> bool:
        """Tell whether a stage answers."""
        try:
            return bool(await call(self._handle.ready))
        except (FacefleetError, RayServeException):
            return False
