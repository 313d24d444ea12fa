"""A finished job's folder, made of answers that a test wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from app.bulk.parts import Kept, PartWriter
from app.bulk.rows import Row
from app.bulk.tables import header_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def face(number: int, **attributes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a face of a track with this number."""
    return {
        "face_id": f"f_{number:02d}",
        "track_id": f"t_{number}",
        "bbox": [1, 2, 30, 40],
        "confidence": 0.9,
        "attributes": attributes,
    }


def video(
    duration: float,
    frames: Sequence[Sequence[dict[str, Any]]],
    tracks: Sequence[tuple[str, float, float]] = (),
) -> dict[str, Any]:
    """Return the answer about a task that succeeded; frames lie half a second apart."""
    return {
        "status": "succeeded",
        "media": {"duration": duration, "width": 640, "height": 480},
        "metadata": {"facefleet_bulk": "key", "team": "a"},
        "result": {
            "frames": [
                {"timestamp": number / 2, "faces": list(faces)} for number, faces in enumerate(frames)
            ],
            "face_tracks": [
                {"track_id": name, "person_id": None, "appears_at": begin, "disappears_at": end}
                for name, begin, end in tracks
            ],
            "summary": {"total_faces": len(tracks), "unique_identities": len(tracks)},
        },
    }


def write_job(
    folder: Path, answers: Sequence[dict[str, Any] | tuple[str, str]], file_format: str = "parquet"
) -> None:
    """Write tables; a pair is the code and the reason of a row that failed."""
    folder.mkdir(exist_ok=True)
    kept = Kept(folder / "work")
    lines = []
    for number, answer in enumerate(answers):
        row = Row(number, f"v{number}", f"/videos/v{number}.mp4", "video", {})
        if isinstance(answer, tuple):
            kept.put(number, [header_of(row, *answer)])
            event = {"event": "failed", "code": answer[0], "reason": answer[1]}
        else:
            kept.put(number, [header_of(row), json.dumps(answer).encode()])
            event = {"event": "done"}
        lines.append({**event, "row": number, "at": 1_700_000_000 + number * 2.0})
    PartWriter(folder, file_format).write(0, range(len(answers)), kept)
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    job = {
        "job_id": "j",
        "given": "videos.csv",
        "fingerprint": "",
        "manifest": "job-manifest.csv",
        "base": "/videos",
        "defaults": {},
        "ignores_others": False,
        "file_format": file_format,
        "rows": len(answers),
        "part_rows": 500,
        "url": "http://127.0.0.1:8000",
        "begun_at": 1_700_000_000.0,
    }
    (folder / "job.json").write_text(json.dumps(job))
