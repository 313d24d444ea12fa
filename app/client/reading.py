"""JSON into dataclasses: fields by name, unknown ones ignored, so that services may be newer than clients.

A field that is missing takes its default; one without a default makes the answer unreadable.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from app.client.errors import UnreadableAnswer

T = TypeVar("T")
_Reader = Callable[[Any], Any]


def read(cls: type[T], data: object) -> T:
    """Return the JSON as an instance of this dataclass.

    Raises:
        UnreadableAnswer: something that every answer has is not there, or of another shape.
    """
    try:
        made: T = _reader(cast("Any", cls))(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"the answer is no {cls.__name__}: {error!r}"
        raise UnreadableAnswer(message) from error
    return made


@lru_cache(maxsize=256)
def _reader(kind: Any) -> _Reader:  # noqa: ANN401 - any annotation
    origin = get_origin(kind)
    if origin in {Union, types.UnionType}:
        inner = [each for each in get_args(kind) if each is not type(None)]
        return partial(_optional, _reader(inner[0])) if len(inner) == 1 else _as_it_is
    if origin is tuple:
        return partial(_tuple, _reader(get_args(kind)[0]))
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        readers = tuple(
            (field.name, _reader(hints[field.name]), _is_required(field))
            for field in dataclasses.fields(kind)
        )
        return partial(_record, cast("Any", kind), readers)
    if kind is datetime:
        return _moment
    if kind is float:
        return float
    return _as_it_is


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _record(cls: Callable[..., Any], fields: tuple[tuple[str, _Reader, bool], ...], data: object) -> Any:  # noqa: ANN401 - whatever the class makes
    if not isinstance(data, Mapping):
        message = f"an object was expected, not {type(data).__name__}"
        raise TypeError(message)
    return cls(
        **{name: reader(data[name]) for name, reader, is_required in fields if is_required or name in data}
    )


def _optional(reader: _Reader, value: object) -> object:
    return None if value is None else reader(value)


def _tuple(reader: _Reader, values: object) -> tuple[Any, ...]:
    if not isinstance(values, list):
        message = f"a list was expected, not {type(values).__name__}"
        raise TypeError(message)
    return tuple(reader(value) for value in values)


def _moment(text: str) -> datetime:
    # Python 3.10 does not read the Z.
    return datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith("Z") else text)


def _as_it_is(value: object) -> object:
    return value
