"""What callers attach to things of theirs: any JSON object, small, given back as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from pydantic_core import PydanticSerializationError, to_json

from pipelines.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping

METADATA_BYTES: Final = 2048


def checked_metadata(metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return metadata that can be kept.

    Raises:
        InvalidOption: it is too large, or no JSON.
    """
    if metadata is None:
        return None
    try:
        size = len(to_json(metadata, inf_nan_mode="strings"))
    except (PydanticSerializationError, ValueError, RecursionError):
        _refuse("it cannot be written as JSON")
    if size > METADATA_BYTES:
        _refuse(f"it has {size} bytes as JSON; {METADATA_BYTES} are allowed")
    if any(map(_cannot_be_kept, _leaves(metadata))):
        _refuse("NaN, Infinity and NUL characters cannot be kept")
    return metadata


def _leaves(value: Mapping[str, Any] | list[Any]) -> list[Any]:
    """Return every key and every plain value, however deep."""
    found: list[Any] = []
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            found += one.keys()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        else:
            found.append(one)
    return found


def _cannot_be_kept(leaf: object) -> bool:
    if isinstance(leaf, float):
        return leaf != leaf or leaf in {float("inf"), float("-inf")}  # noqa: PLR0124 - NaN is unlike itself
    return isinstance(leaf, str) and "\0" in leaf


def _refuse(why: str) -> NoReturn:
    message = f"metadata: {why}."
    raise InvalidOption(message)
