"""Which converter makes the installed file, by the `name/revision` that the manifest gives.

The revision rises when a converter writes other bytes than before: files that an older one made are then
known to be stale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.convert_keras import convert_keras
from models.convert_sface import convert_sface
from models.convert_tflite import convert_tflite
from models.errors import BadWeights

if TYPE_CHECKING:
    from collections.abc import Callable

CONVERTERS: dict[str, Callable[[bytes], bytes]] = {
    "keras/1": convert_keras,
    "sface/1": convert_sface,
    "tflite/1": convert_tflite,
}


def convert(name: str, data: bytes) -> bytes:
    """Return the ONNX file that a converter makes of a source file.

    Raises:
        BadWeights: the source file is not what the converter reads.
    """
    try:
        return CONVERTERS[name](data)
    except BadWeights:
        raise
    except Exception as error:
        # Parsers of foreign formats raise whatever their libraries do on bytes they do not expect.
        message = f"{name} cannot read these weights: {type(error).__name__}: {error}"
        raise BadWeights(message) from error
