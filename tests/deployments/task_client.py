"""What the tests of tasks ask of a running service, and the media that they have analysed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import httpx
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from cluster.trial import Trial

OPEN = {"queued", "running"}
SIZE, FRAMES_PER_S, GOP = (640, 360), 10, 10


@dataclass(frozen=True)
class TaskClient:
    """Speaks door two; a service that restarts is asked again."""

    service: Trial

    def create(self, **fields: Any) -> str:  # noqa: ANN401 - JSON
        """Submit a task and return its id."""
        answer = self.ask("POST", "/v1/create-detection-task", fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["task_id"])

    def get(self, task_id: str) -> dict[str, Any]:
        """Return a task as it is now."""
        return dict(self.ask("GET", f"/v1/task/{task_id}").json())

    def wait(self, task_id: str, timeout_s: float = 90.0) -> dict[str, Any]:
        """Return a task once it has ended."""
        deadline = time.monotonic() + timeout_s
        while (task := self.get(task_id))["status"] in OPEN:
            assert time.monotonic() < deadline, task
            time.sleep(0.1)
        return task

    def until_begun(self, task_id: str, progress: float = 0.0) -> None:
        """Return once a task is in work, and that much of it is done."""
        deadline = time.monotonic() + 60
        while True:
            task = self.get(task_id)
            assert task["status"] in OPEN, task
            if task["status"] == "running" and task["progress"] > progress:
                return
            assert time.monotonic() < deadline, task
            time.sleep(0.05)

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Send a request, again while nobody answers."""
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = httpx.request(
                    method,
                    self.service.url + path,
                    json=body,
                    headers={"X-API-Key": self.service.key},
                    timeout=30,
                    trust_env=False,
                )
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise
            else:
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                    return answer
            time.sleep(0.2)


def walk_through(photo: Path, target: Path, seconds: int) -> bytes:
    """Return a video in which the camera wanders over a photo."""
    source = cast("NDArray[np.uint8]", cv2.imread(str(photo)))
    with av.open(str(target), "w") as container:
        stream = cast("VideoStream", container.add_stream("libx264", rate=FRAMES_PER_S))
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.gop_size = GOP
        for index in range(seconds * FRAMES_PER_S):
            frame = av.VideoFrame.from_ndarray(_view(source, index), format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, FRAMES_PER_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.read_bytes()


def _view(source: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
    """Return what the camera sees: a part of the photo, of the video's proportions."""
    rows, columns = source.shape[:2]
    width = columns * 3 // 4
    height = width * SIZE[1] // SIZE[0]
    x = (columns - width) * (0.5 + 0.5 * np.sin(index / 23))
    y = (rows - height) * (0.5 + 0.5 * np.cos(index / 31))
    part = source[int(y) : int(y) + height, int(x) : int(x) + width]
    return cast("NDArray[np.uint8]", cv2.resize(part, SIZE, interpolation=cv2.INTER_AREA))
