"""Lists of people to be enrolled: a CSV of addresses, or a ZIP of pictures.

    CSV: person_id, image_url, and optionally name, metadata (a JSON object)
    ZIP: person_id/picture.jpg, or pictures beside a `people.csv` with person_id, image, name, metadata

Nothing is believed of either: how much is listed, how large a picture is and what an archive says about
itself are looked at before anything is unpacked, and no name in an archive becomes a path on this machine.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from pipelines.errors import InvalidMedia, InvalidOption, MediaTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import TextIO

#: Pictures of one list.
MOST_ROWS: Final = 10_000
LISTING: Final = "people.csv"
#: What the library says of an archive that is none.
_BROKEN = (zipfile.BadZipFile, OSError, NotImplementedError, ValueError)
_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".heic", ".heif"})
_MOST_LISTING_BYTES = 50_000_000
#: The end of an archive, and how long it can be; what it says of the list of files before it.
_END, _END_BYTES, _LONGEST_COMMENT = b"PK\x05\x06", 22, 65_535
_END_64 = b"PK\x06\x07"
_MOST_DIRECTORY_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture that somebody is to be known by.

    Attributes:
        row: its place in the list, from 1.
        person_id: whose it is, as it was written.
        name: theirs, where it was written.
        metadata: as it was written: JSON, or nothing.
        url: where the picture is, of a CSV.
        member: its name in the archive, of a ZIP.
    """

    row: int
    person_id: str
    name: str | None
    metadata: str | None
    url: str | None = None
    member: str | None = None


def read_candidates(path: Path) -> list[Candidate]:
    """Return what a file lists, those of one person together.

    Raises:
        InvalidMedia: it is neither of both kinds, lists nothing or too much.
    """
    with path.open("rb") as file:
        start = file.read(4)
    listed = _in_archive(path) if start[:2] == b"PK" else _in_table(path)
    if not listed:
        message = "The file lists nobody."
        raise InvalidMedia(message)
    firsts: dict[str, int] = {}
    for each in listed:
        firsts.setdefault(each.person_id, each.row)
    return sorted(listed, key=lambda each: (firsts[each.person_id], each.row))


def read_member(path: Path, member: str, most_bytes: int) -> bytes:
    """Return a picture of an archive.

    Raises:
        InvalidMedia: it cannot be unpacked.
        MediaTooLarge: it has more bytes than that.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            data = file.read(most_bytes + 1)
    except (*_BROKEN, KeyError, RuntimeError, EOFError) as error:
        message = "The picture cannot be unpacked."
        raise InvalidMedia(message) from error
    if len(data) > most_bytes:
        message = f"The picture has more than {most_bytes} bytes."
        raise MediaTooLarge(message)
    return data


def read_metadata(text: str | None) -> dict[str, Any] | None:
    """Return metadata as it was written.

    Raises:
        InvalidOption: it is not a JSON object.
    """
    if text is None or not text.strip():
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        message = "metadata: it must be a JSON object."
        raise InvalidOption(message)
    return found


def _in_table(path: Path) -> list[Candidate]:
    if path.stat().st_size > _MOST_LISTING_BYTES:
        message = f"A CSV may have {_MOST_LISTING_BYTES} bytes."
        raise InvalidMedia(message)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [
            Candidate(row, line["person_id"], line.get("name"), line.get("metadata"), url=line["image_url"])
            for row, line in enumerate(_lines(file, "image_url"), 1)
        ]


def _lines(file: TextIO, picture: str) -> Iterable[dict[str, str]]:
    """Return the lines of a table that has these columns.

    Raises:
        InvalidMedia: it has not, or is none.
    """
    found: list[dict[str, str]] = []
    try:
        table = csv.DictReader(file, strict=True)
        columns = {(name or "").strip().lower() for name in table.fieldnames or ()}
        if not {"person_id", picture} <= columns:
            message = f"The first line of the CSV must name the columns person_id and {picture}."
            raise InvalidMedia(message)
        for line in table:
            if len(found) == MOST_ROWS:
                raise _too_many()
            cells = {
                (name or "").strip().lower(): text for name, text in line.items() if isinstance(text, str)
            }
            found.append(
                {"person_id": "", picture: "", **{name: text.strip() for name, text in cells.items()}}
            )
    except (csv.Error, UnicodeDecodeError) as error:
        message = "The file is neither a ZIP nor a CSV in UTF-8."
        raise InvalidMedia(message) from error
    return found


def _in_archive(path: Path) -> list[Candidate]:
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info.filename for info in archive.infolist() if not info.is_dir()]
    except _BROKEN as error:
        message = "The ZIP cannot be read."
        raise InvalidMedia(message) from error
    listing = next((name for name in members if PurePosixPath(name).name.lower() == LISTING), None)
    if listing is not None:
        return _listed(path, listing, set(members))
    found: list[Candidate] = []
    for name in members:
        place = PurePosixPath(name)
        if _is_picture(place) and len(place.parts) > 1:
            if len(found) == MOST_ROWS:
                raise _too_many()
            found.append(Candidate(len(found) + 1, place.parent.name, None, None, member=name))
    return found


def _listed(path: Path, listing: str, members: set[str]) -> list[Candidate]:
    data = read_member(path, listing, _MOST_LISTING_BYTES)
    try:
        text = io.StringIO(data.decode("utf-8-sig"), newline="")
    except UnicodeDecodeError as error:
        message = f"{LISTING} is not in UTF-8."
        raise InvalidMedia(message) from error
    beside = PurePosixPath(listing).parent
    found = []
    for row, line in enumerate(_lines(text, "image"), 1):
        inside = str(beside / line["image"])
        member = inside if inside in members else line["image"]
        found.append(Candidate(row, line["person_id"], line.get("name"), line.get("metadata"), member=member))
    return found


def _is_picture(place: PurePosixPath) -> bool:
    """Tell whether a file is one; systems put hidden files beside each picture."""
    is_hidden = any(part.startswith((".", "__MACOSX")) for part in place.parts)
    return place.suffix.lower() in _PICTURES and not is_hidden


def _check_directory(path: Path) -> None:
    """Refuse archives whose list of files alone would fill the memory.

    Raises:
        InvalidMedia: it is one, or its end is missing.
    """
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _END_BYTES - _LONGEST_COMMENT))
        tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        message = "The ZIP cannot be read."
        raise InvalidMedia(message)
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    if directory > _MOST_DIRECTORY_BYTES or _END_64 in tail[max(0, at - 20) : at]:
        raise _too_many()


def _too_many() -> InvalidMedia:
    return InvalidMedia(f"More than {MOST_ROWS} pictures are listed; send them in parts.")
