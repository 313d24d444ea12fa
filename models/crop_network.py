"""What every network of crops does alike: crops in, blob, run in batches, rows to their decoder.

    uint8 BGR crops -> blob as the manifest says (order, mean, scale, layout; array used again) -> network
    -> decode -> a row of numbers for each crop

A family brings a `Family`: what its rows mean, where its crops lie, and how its outputs become rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from models.manifest import InputSpec
    from models.session import BoundSession, Device
    from pipelines.crops import BoxCrop, CropRecipe
    from pipelines.ports import CropSpec, Reading

    Decode = Callable[[Sequence[NDArray[np.float32]]], NDArray[np.float32]]

#: Crops that run together where a batch is proven. On a CPU more than a few gain nothing, as one crop keeps
#: its threads busy already; the mesh's maps of 16 leave its cache, and a face took 1.05 times as long.
_CPU_BATCH, _GPU_BATCH = 4, 16
_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Family:
    """What is common to all exports of one network.

    Attributes:
        reading: what a row means.
        crops: what the network looks at.
        decode: turns the outputs for N crops into float32 [N, numbers].
        again: what it looks at once more, around what was found; the mesh's.
    """

    reading: Reading
    crops: tuple[CropRecipe, ...]
    decode: Decode
    again: tuple[BoxCrop, ...] = ()


def batch_size(device: Device, *, is_proven: bool) -> int:
    """Return how many crops run together on a device."""
    if not is_proven:
        return 1
    return _CPU_BATCH if device == "cpu" else _GPU_BATCH


class CropRunner:
    """A `CropNetwork` around a session; safe to call from several threads."""

    def __init__(
        self, spec: CropSpec, session: BoundSession, feed: InputSpec, decode: Decode, max_batch: int
    ) -> None:
        self.spec = spec
        self.max_batch = max_batch
        self._session = session
        self._feed = feed
        self._decode = decode

    def answer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return a row for each crop.

        Raises:
            ValueError: crops of another size or type than the network's.
        """
        check_crops(crops, (self._feed.width, self._feed.height))
        rows = [
            self._run(crops[start : start + self.max_batch])
            for start in range(0, max(len(crops), 1), self.max_batch)
            if len(crops)
        ]
        return np.concatenate(rows) if rows else np.zeros((0, 1), np.float32)

    def _run(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        shape = blob_shape(self._feed, len(crops))
        fill(crops, self._feed, self._session.input_for(shape))
        # Outputs are overwritten by the next run, so rows must not be views of them.
        return np.array(self._decode(self._session.run(shape)), np.float32)


def check_crops(crops: NDArray[np.uint8], size: tuple[int, int]) -> None:
    """Refuse crops that are not uint8 [N, height, width, 3] of this width and height."""
    width, height = size
    if crops.shape[1:] != (height, width, _CHANNELS) or crops.dtype != np.uint8:
        message = f"crops: uint8 [N, {height}, {width}, 3] expected, not {crops.dtype} {crops.shape}"
        raise ValueError(message)


def blob_shape(feed: InputSpec, count: int) -> tuple[int, ...]:
    """Return the shape of the network's input for this many crops."""
    channels = len(feed.mean)
    if feed.layout == "nhwc":
        return (count, feed.height, feed.width, channels)
    return (count, channels, feed.height, feed.width)


def fill(crops: NDArray[np.uint8], feed: InputSpec, blob: NDArray[np.float32]) -> None:
    """Write crops into the network's input: `(pixel - mean) * scale` in its order and layout."""
    planes = np.moveaxis(blob, -1, 1) if feed.layout == "nhwc" else blob
    if feed.colour == "grey":
        for crop, plane in zip(crops, planes[:, 0], strict=True):
            plane[:] = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    else:
        order = (2, 1, 0) if feed.colour == "rgb" else (0, 1, 2)
        for channel, source in enumerate(order):
            planes[:, channel] = crops[:, :, :, source]
    for channel, (mean, scale) in enumerate(zip(feed.mean, feed.scale, strict=True)):
        plane = planes[:, channel]
        if mean:
            np.subtract(plane, np.float32(mean), out=plane)
        if scale != 1:
            np.multiply(plane, np.float32(scale), out=plane)
