"""The 468-point face mesh of MediaPipe.

Crop: a square of 1.5 times the longer side of the box, turned so that the eyes lie level; 192 pixels. Then
around the points that were found, whatever the detector's box was: once as it is and once mirrored, and the
mean of both. The network is not symmetric; the mean is, and it is better: on rendered turns of 60 people 4 in
100 more yaws and pitches come within 5 degrees, and points lie a tenth nearer. The points' box is tighter
than a detector's; 1.4 times its longer side measured best of 1.2 to 1.6.
Input: NHWC, RGB, 0..1. Outputs: 468 x (x, y, depth) in pixels of the crop, and a logit of presence. Which
output is which is read from their sizes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from models.crop_network import Family
from pipelines.crops import BoxCrop
from pipelines.mesh import MESH_POINTS
from pipelines.ports import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MESH_CROP: Final = BoxCrop(192, 1.5, level=True)
SECOND_CROPS: Final = tuple(BoxCrop(192, 1.4, level=True, mirrored=mirrored) for mirrored in (False, True))
_VALUES = MESH_POINTS * 3


def decode_mesh(outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the points as they are, and the presence as 0..1 behind them."""
    flat = [output.reshape(len(output), -1) for output in outputs]
    (points,) = (output for output in flat if output.shape[1] == _VALUES)
    (logits,) = (output for output in flat if output.shape[1] == 1)
    # The sigmoid by way of tanh, which does not overflow.
    return np.concatenate([points, (np.tanh(logits / 2) + 1) / 2], axis=1)


FAMILY: Final = Family(Reading.MESH, (MESH_CROP,), decode_mesh, SECOND_CROPS)
