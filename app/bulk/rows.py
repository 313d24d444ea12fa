"""Rows of a manifest: which media, by what name, and how it is to be analysed.

Columns are `source` (or `media_url`, `url`, `path`), `id`, `type`, and every option of a task. Cells of CSV
are text; JSONL and Parquet may give numbers and lists as they are.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from app.bulk.errors import BadManifest
from app.client.media_types import media_type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

SOURCE_NAMES: Final = ("source", "media_url", "url", "path")
#: Written by a job into its failures file, for people; read over when that file is a manifest.
REMARKS: Final = frozenset({"error_code", "reason"})
_SCHEMES: Final = ("http://", "https://", "s3://", "upload://")
_TYPES: Final = ("video", "image", "gif")
LONGEST_ID: Final = 512


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used, where it stands, and why."""

    number: int
    where: str
    reason: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """A row that can be used.

    Attributes:
        number: its place in the manifest, from 0.
        id: unique in the manifest; the source where no id is given.
        source: an address, or the path of a file of this machine.
        media_type: video, image or gif.
        fields: options of the task that differ from the service's own.
    """

    number: int
    id: str
    source: str
    media_type: str
    fields: Mapping[str, Any]

    @property
    def is_local(self) -> bool:
        """Tell whether the source is a file that must be sent first."""
        return not self.source.startswith(_SCHEMES)


class RowReader:
    """Turns cells into rows.

    Args:
        columns: the manifest's; of JSONL, those of a row.
        defaults: options for rows that do not say otherwise.
        base: what paths in the manifest are relative to.
    """

    def __init__(self, columns: Iterable[str], defaults: Mapping[str, Any], base: Path) -> None:
        names = list(columns)
        check_columns(names)
        self.source_name = next(name for name in SOURCE_NAMES if name in names)
        self._defaults = dict(defaults)
        self._base = base

    def read(  # noqa: PLR0911 - each is a reason of its own
        self, number: int, where: str, cells: Mapping[str, Any]
    ) -> Row | BadRow:
        """Return the row, or why it is none."""
        try:
            source = _text(cells.get(self.source_name))
            if not source:
                return BadRow(number, where, f"{self.source_name} is empty", cells)
            if _is_broken(source):
                return BadRow(number, where, "it is not written in UTF-8", cells)
            given_id = _text(cells.get("id"))
            media_type, fields = self._options(cells)
        except ValueError as error:
            return BadRow(number, where, str(error), cells)
        media_type = media_type or media_type_of(source) or ""
        if media_type not in _TYPES:
            reason = "its ending does not tell what it is; say video, image or gif in a column `type`"
            return BadRow(number, where, f"{source}: {reason}", cells)
        identity = given_id or source
        if len(identity) > LONGEST_ID:
            return BadRow(number, where, f"id: longer than {LONGEST_ID} characters", cells)
        if not source.startswith(_SCHEMES):
            if "://" in source:
                return BadRow(number, where, f"{source}: addresses begin with {', '.join(_SCHEMES)}", cells)
            source = str(self._base / source)
        return Row(number, identity, source, media_type, fields)

    def _options(self, cells: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        given = tuple(
            (name, json.dumps(value) if isinstance(value, (list, dict)) else value)
            for name, value in cells.items()
            if (name in OPTIONS or name == "type") and value is not None and value != ""
        )
        media_type, fields = _read_options(given)
        return media_type, {**self._defaults, **fields}


def check_columns(names: list[str]) -> None:
    """Refuse columns that are missing, double or unknown.

    Raises:
        BadManifest: they are.
    """
    known = [*SOURCE_NAMES, "id", "type", *OPTIONS, *REMARKS]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        message = f"the column {doubles[0]!r} is there twice"
        raise BadManifest(message)
    sources = [name for name in SOURCE_NAMES if name in names]
    if not sources:
        message = (
            f"there is no column `source` (nor {', '.join(SOURCE_NAMES[1:])}); there is: {', '.join(names)}"
        )
        raise BadManifest(message)
    if len(sources) > 1:
        message = f"the columns {' and '.join(sources)} mean the same; keep one"
        raise BadManifest(message)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else "."
            message = f"there is no column {name!r}{hint} Leave others out with --ignore-other-columns."
            raise BadManifest(message)


def read_defaults(pairs: Iterable[str]) -> dict[str, Any]:
    """Return options as `name=value` on the command line gives them.

    Raises:
        BadManifest: one is none.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name not in OPTIONS:
            message = f"--set {pair}: say name=value; names are {', '.join(OPTIONS)}"
            raise BadManifest(message)
        try:
            found[name] = OPTIONS[name](text)
        except ValueError as error:
            message = f"--set {name}: {error}"
            raise BadManifest(message) from error
    return found


@lru_cache(maxsize=4096)
def _read_options(given: tuple[tuple[str, Any], ...]) -> tuple[str, Mapping[str, Any]]:
    """Return type and options; most rows of a manifest have the same."""
    media_type = ""
    fields: dict[str, Any] = {}
    for name, value in given:
        if name == "type":
            media_type = str(value)
            if media_type not in _TYPES:
                message = f"type: {value!r} is none of video, image, gif"
                raise ValueError(message)
            continue
        try:
            fields[name] = OPTIONS[name](value)
        except (ValueError, TypeError) as error:
            message = f"{name}: {value!r} {error}"
            raise ValueError(message) from error
    return media_type, fields


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def read(value: object) -> int:
        try:
            number = float(str(value))
        except ValueError:
            number = float("nan")
        if isinstance(value, bool) or number != int_or_nan(number) or not least <= number <= most:
            message = f"is no whole number from {least} to {most}"
            raise ValueError(message)
        return int(number)

    return read


def int_or_nan(number: float) -> float:
    """Return the whole part of a number; nothing of what is none, so that it equals no number."""
    return float(int(number)) if abs(number) < float("inf") else float("nan")


def _number(least: float, most: float) -> Callable[[Any], float]:
    def read(value: object) -> float:
        try:
            number = float(str(value))
        except ValueError:
            number = float("nan")
        if isinstance(value, bool) or not least <= number <= most:
            message = f"is no number from {least:g} to {most:g}"
            raise ValueError(message)
        return number

    return read


def _names(value: object) -> list[str]:
    text = str(value).strip()
    if text.startswith("["):
        loaded = json.loads(text)
        if not all(isinstance(each, str) for each in loaded):
            message = "is no list of names"
            raise ValueError(message)
        return list(loaded)
    return [name for name in text.replace(";", ",").replace(" ", ",").split(",") if name]


def _object(value: object) -> dict[str, Any]:
    try:
        loaded = json.loads(str(value))
    except ValueError:
        loaded = None
    if not isinstance(loaded, dict):
        message = "is no JSON object"
        raise ValueError(message)  # noqa: TRY004 - a fault of the row, as the others
    return loaded


def _plain(value: object) -> str:
    return str(value)


_LATEST_S = 10_000_000.0
#: How the cell of each option is read.
OPTIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "start_time": _number(0, _LATEST_S),
    "end_time": _number(0, _LATEST_S),
    "sample_rate": _whole(1, 30),
    "min_face_size": _whole(0, 10_000),
    "confidence_threshold": _number(0, 1),
    "attributes": _names,
    "recognize": _whole(0, 1),
    "library_id": _plain,
    "top_k": _whole(1, 10),
    "callback_url": _plain,
    "metadata": _object,
}


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (dict, list, bool, float)):
        message = f"{value!r} is no text"
        raise ValueError(message)  # noqa: TRY004 - a row's fault, as the others
    return str(value).strip()


def _is_broken(text: str) -> bool:
    """Tell whether bytes of the file were no UTF-8."""
    return any("\udc80" <= character <= "\udcff" for character in text) if not text.isascii() else False
