"""Media for tests of the console: a video of faces that move, sent as a client would."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from av.video.stream import VideoStream

SIZE = (640, 480)
FRAMES, RATE = 48, 12
PATIENCE_S = 40


def moving_face(portrait: Path, target: Path) -> Path:
    """Render four seconds in which a face wanders, and another one is there for the second half alone."""
    face = cv2.imread(str(portrait))
    assert face is not None
    face = face[30:230, 130:330]
    with av.open(str(target), "w") as container:
        stream = cast("VideoStream", container.add_stream("libx264", rate=RATE))
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.gop_size = RATE
        for number in range(FRAMES):
            picture = np.full((SIZE[1], SIZE[0], 3), (96, 84, 70), np.uint8)
            left = 20 + number * 3
            picture[40:240, left : left + 200] = face
            if number >= FRAMES // 2:
                picture[250:450, 420:620] = face[:, ::-1]
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return target


def send_video(client: httpx.Client, video: Path, **more: Any) -> str:  # noqa: ANN401 - a task's fields
    """Upload a video, make a detection task of it, and return the task's id."""
    return create(client, type="video", media_url=upload_video(client, video), sample_rate=6, **more)


def upload_video(client: httpx.Client, video: Path) -> str:
    """Upload a video, and return the address that tasks name it by."""
    data = video.read_bytes()
    upload = client.post("/v1/uploads", json={"filename": video.name, "size": len(data)}).json()
    for number, url in enumerate(upload["parts"]["urls"]):
        piece = data[number * upload["parts"]["size"] :][: upload["parts"]["size"]]
        assert client.put(url, content=piece).status_code < 300
    assert client.post(f"/v1/uploads/{upload['upload_id']}/complete").status_code == 200
    return str(upload["media_url"])


def create(client: httpx.Client, kind: str = "detection", **fields: Any) -> str:  # noqa: ANN401 - a task's fields
    """Make a task, and return its id."""
    answer = client.post(f"/v1/create-{kind}-task", json=fields)
    assert answer.status_code == 200, answer.text
    task_id: str = answer.json()["task_id"]
    return task_id


def until_over(client: httpx.Client, task_id: str) -> dict[str, Any]:
    """Wait until a task has ended, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        task: dict[str, Any] = client.get(f"/v1/task/{task_id}").json()
        if task["status"] not in {"queued", "running"}:
            return task
        time.sleep(0.1)
    raise AssertionError(task)
