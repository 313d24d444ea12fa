"""Bulk jobs: what the client costs, and how it begins. `python -m cluster.bench.bulk_jobs videos|manifest`.

videos     a job over generated videos on a service of its own: how long the service had nothing to do while
           the job ran, and what the client's process used; then the same job killed again and again
manifest   100,000 rows against a stand-in that finishes tasks at once: when the first one is submitted, and
           the most memory that the process had
"""

from __future__ import annotations

import argparse
import hashlib
import http.server
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from cluster.service_cli import SAMPLE
from cluster.trial import Trial, trial_service

FRAMES, RATE, SIZE = 60, 15, (320, 240)
ASKED = "attributes=age,gender,quality"


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["videos", "manifest"])
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--weights", type=Path, help="folder with installed networks")
    parser.add_argument("--keep", type=Path, help="where jobs are left to be looked at")
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="facefleet-bulk-"))
    folder.mkdir(parents=True, exist_ok=True)
    told = measure_videos(folder, given) if given.what == "videos" else measure_manifest(folder, given)
    for name, value in told.items():
        print(f"{name:<50} {value}")


def measure_videos(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Run the job once undisturbed and once with kills."""
    sources = render(folder / "videos", given.videos)
    manifest = folder / "videos.csv"
    manifest.write_text("id,source\n" + "".join(f"{path.stem},{path}\n" for path in sources))
    with trial_service(weights=given.weights) as service:
        started = time.time()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _ended(_start(service, manifest, folder / "calm"))
        wall = time.time() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        idle = wall - busy_s(service.home / "facefleet.db", started)
        kills = _killed(service, manifest, folder / "killed", given.kills)
    same = _tables(folder / "calm") == _tables(folder / "killed")
    return {
        "videos": given.videos,
        "wall s": round(wall, 1),
        "s in which the service had none of them": f"{idle:.2f} ({idle / wall:.1%})",
        "client CPU s": f"{cpu:.2f} ({cpu / wall / (os.cpu_count() or 1):.1%} of {os.cpu_count()} cores)",
        "kills": kills,
        "tables equal, byte for byte": same,
        "jobs": folder,
    }


def busy_s(database: Path, since: float) -> float:
    """Return for how long at least one task was queued or running."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as opened:
        rows = opened.execute("select created_at, completed_at from tasks").fetchall()
    spans = sorted((_moment(begin), _moment(end)) for begin, end in rows if end)
    total, reached = 0.0, since
    for begin, end in spans:
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def _moment(value: str | float) -> float:
    if isinstance(value, (int, float)):
        return value / 1e6 if value > 1e12 else float(value)  # noqa: PLR2004 - microseconds or seconds
    return datetime.fromisoformat(value if "+" in value else f"{value}+00:00").timestamp()


def render(folder: Path, count: int) -> list[Path]:
    """Make short videos in which a face moves, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    photo = cv2.imread(str(SAMPLE))
    assert photo is not None  # noqa: S101 - narrows the type: the file is ours
    face = photo[20:230, 120:330, ::-1]
    paths = []
    for number in range(count):
        path = folder / f"video-{number:04d}.mp4"
        paths.append(path)
        if path.exists():
            continue
        chance = random.Random(number)  # noqa: S311 - no secret
        size = chance.randint(120, 230)
        small = np.ascontiguousarray(cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA))
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
            for frame_number in range(FRAMES):
                pixels = np.full((SIZE[1], SIZE[0], 3), chance.randint(90, 110), np.uint8)
                left = (frame_number * 2 + number) % (SIZE[0] - size)
                pixels[5 : 5 + size, left : left + size] = small
                for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
    return paths


def _start(service: Trial, manifest: Path, out: Path) -> subprocess.Popen[bytes]:
    variables = {"FACEFLEET_URL": service.url, "FACEFLEET_KEY": service.key}
    arguments = ("bulk", "run", str(manifest), "--out", str(out), "--part-rows", "20", "--set", ASKED)
    return subprocess.Popen([sys.executable, "-m", "cluster", *arguments], env={**os.environ, **variables})  # noqa: S603 - our own


def _ended(process: subprocess.Popen[bytes]) -> None:
    if process.wait() != 0:
        message = f"the job ended with {process.returncode}"
        raise RuntimeError(message)


def _killed(service: Trial, manifest: Path, out: Path, kills: int) -> int:
    """Run the job, killing it now and then; return how often it was."""
    chance = random.Random(1)  # noqa: S311 - no secret
    done = 0
    while done < kills:
        process = _start(service, manifest, out)
        try:
            process.wait(2 + chance.random() * 4)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            done += 1
    _ended(_start(service, manifest, out))
    return done


def _tables(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*/part-*"))
    }


@dataclass
class _Seen:
    first: float = 0.0
    created: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def measure_manifest(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Begin a large job and watch its process."""
    manifest = folder / "large.csv"
    lines = (f"v{number},https://media.example/v{number}.mp4,2\n" for number in range(given.rows))
    manifest.write_text("id,source,sample_rate\n" + "".join(lines))
    seen = _Seen()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _stand_in(seen))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    out = folder / f"large-{os.getpid()}"
    started = time.time()
    process = subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-m", "cluster", "bulk", "run", str(manifest), "--out", str(out)],
        env={**os.environ, "FACEFLEET_URL": url, "FACEFLEET_KEY": "k"},
    )
    while time.time() - started < given.seconds and process.poll() is None:
        time.sleep(0.1)
    process.terminate()
    _, _, usage = os.wait4(process.pid, 0)
    server.shutdown()
    return {
        "rows": given.rows,
        "s from the command to the first task": round(seen.first - started, 2),
        "tasks created while it was watched": seen.created,
        "most memory, MB": round(usage.ru_maxrss * 1024 / 1e6, 1),
    }


def _stand_in(seen: _Seen) -> type[http.server.BaseHTTPRequestHandler]:
    """Return a service that finishes every task at once, and finds one face in each."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            with seen.lock:
                seen.first = seen.first or time.time()
                seen.created += 1
                number = seen.created
            moment = "2026-01-01T00:00:00Z"
            made = {"task_id": f"task_{number:032x}", "status": "queued", "created_at": moment}
            self._say({**made, "estimated_seconds": 1})

        def do_GET(self) -> None:
            if self.path.startswith("/v1/tasks"):
                self._say({"tasks": [], "next_cursor": None})
                return
            face = {"face_id": "f_01", "bbox": [1, 2, 3, 4], "confidence": 0.9}
            result = {"frames": [{"timestamp": 0.0, "faces": [face]}], "face_tracks": []}
            result["summary"] = {"total_faces": 1, "unique_identities": 1}  # type: ignore[assignment] # JSON
            self._say({"status": "succeeded", "media": {"duration": 1.0}, "result": result})

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _say(self, answer: dict[str, Any]) -> None:
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


if __name__ == "__main__":
    main()
