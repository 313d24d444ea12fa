"""Three tables out of tasks' answers: `media`, `faces`, `tracks`. Plain rows; files are made elsewhere.

The columns and their types are version 1 of the schema. A later version may add columns at the end; what is
here keeps its name, its type and its meaning.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json

from app.bulk.rows import BadRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from app.bulk.rows import Row

VERSION: Final = 1
TABLES: Final = ("faces", "tracks", "media")
#: Beside the caller's metadata there is ours, so that a task is known again; it is not his.
OWN_METADATA: Final = "facefleet_bulk"

#: Columns and their types, in Arrow's words; lists are of the type in brackets.
COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "media": {
        "id": "string",
        "row": "int64",
        "source": "string",
        "type": "string",
        "status": "string",
        "error_code": "string",
        "reason": "string",
        "duration_s": "double",
        "width": "int32",
        "height": "int32",
        "frames": "int32",
        "total_faces": "int32",
        "unique_identities": "int32",
        "metadata": "string",
    },
    "faces": {
        "id": "string",
        "row": "int64",
        "frame": "int32",
        "timestamp_s": "double",
        "face_id": "string",
        "track_id": "string",
        "x": "int32",
        "y": "int32",
        "width": "int32",
        "height": "int32",
        "confidence": "double",
        "age": "int32",
        "gender": "string",
        "emotion": "string",
        "yaw": "double",
        "pitch": "double",
        "roll": "double",
        "glasses": "bool",
        "mask": "bool",
        "quality": "double",
        "landmarks": "list<float>",
        "person_id": "string",
        "person_name": "string",
        "match_score": "double",
        "matches": "string",
    },
    "tracks": {
        "id": "string",
        "row": "int64",
        "track_id": "string",
        "person_id": "string",
        "appears_at_s": "double",
        "disappears_at_s": "double",
    },
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a row ended, in the rows of each table; faces come one frame after the other."""

    media: dict[str, Any]
    faces: Iterable[dict[str, Any]]
    tracks: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Tally:
    """What is counted while a job runs."""

    faces: int
    media_s: float


def header_of(row: Row | BadRow, code: str | None = None, reason: str | None = None) -> bytes:
    """Return the first line of what is kept of a row until its part is written."""
    head: dict[str, Any]
    if isinstance(row, BadRow):
        names = ("id", "source", "media_url", "url", "path")
        known = [text for name in names if isinstance(text := row.values.get(name), str) and text]
        head = {"id": known[0] if known else row.where, "source": known[-1] if known else "", "type": None}
    else:
        head = {"id": row.id, "source": row.source, "type": row.media_type}
    head |= {"row": row.number, "error_code": code, "reason": reason}
    # A name that is no UTF-8 is still a name; Parquet wants text.
    return json.dumps(head).encode().replace(b"\n", b" ") + b"\n"


def tally(answer: Mapping[str, Any]) -> Tally:
    """Return what a task that succeeded adds to the counts."""
    summary = answer["result"].get("summary") or {}
    return Tally(
        int(summary.get("total_faces") or 0), float((answer.get("media") or {}).get("duration") or 0)
    )


def outcome_of(lines: Sequence[bytes]) -> Outcome:
    """Return how a row ended.

    Args:
        lines: the header, then the task's answer, then its further pages.
    """
    head = from_json(lines[0])
    base = {"id": _clean(head["id"]), "row": head["row"]}
    media = dict.fromkeys(COLUMNS["media"]) | base
    media |= {"source": _clean(head["source"]), "type": head["type"], "status": "failed"}
    media |= {"error_code": head["error_code"], "reason": head["reason"]}
    if len(lines) == 1:
        return Outcome(media, (), [])
    answer = from_json(lines[1])
    result, facts = answer["result"], answer.get("media") or {}
    summary = result.get("summary") or {}
    metadata = {name: value for name, value in (answer.get("metadata") or {}).items() if name != OWN_METADATA}
    pages = [result["frames"], *(from_json(line)["frames"] for line in lines[2:])]
    media |= {
        "status": "succeeded",
        "duration_s": facts.get("duration"),
        "width": facts.get("width"),
        "height": facts.get("height"),
        "frames": sum(map(len, pages)),
        "total_faces": summary.get("total_faces"),
        "unique_identities": summary.get("unique_identities"),
        "metadata": json.dumps(metadata, sort_keys=True, ensure_ascii=False) if metadata else None,
    }
    tracks = [
        base
        | {
            "track_id": track["track_id"],
            "person_id": track.get("person_id"),
            "appears_at_s": track.get("appears_at"),
            "disappears_at_s": track.get("disappears_at"),
        }
        for track in result.get("face_tracks") or []
    ]
    return Outcome(media, _faces(base, pages), tracks)


def _faces(base: dict[str, Any], pages: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[dict[str, Any]]:
    number = 0
    for page in pages:
        for frame in page:
            for face in frame["faces"]:
                yield base | {"frame": number, "timestamp_s": frame["timestamp"]} | _face(face)
            number += 1


def _face(face: Mapping[str, Any]) -> dict[str, Any]:
    told = face.get("attributes") or {}
    pose = told.get("pose") or {}
    landmarks = told.get("landmarks")
    matches = (face.get("identity") or {}).get("matches") or []
    best = matches[0] if matches else {}
    x, y, width, height = face["bbox"]
    return {
        "face_id": face["face_id"],
        "track_id": face.get("track_id"),
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "confidence": face["confidence"],
        "age": told.get("age"),
        "gender": told.get("gender"),
        "emotion": told.get("emotion"),
        "yaw": pose.get("yaw"),
        "pitch": pose.get("pitch"),
        "roll": pose.get("roll"),
        "glasses": told.get("glasses"),
        "mask": told.get("mask"),
        "quality": told.get("quality"),
        "landmarks": [edge for point in landmarks for edge in point] if landmarks else None,
        "person_id": best.get("person_id"),
        "person_name": best.get("name"),
        "match_score": best.get("score"),
        "matches": json.dumps(matches, sort_keys=True, ensure_ascii=False) if matches else None,
    }


def _clean(text: str) -> str:
    """Make a file's name text, whatever bytes it has."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
