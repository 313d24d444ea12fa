"""The whole service dies, or its database does: every accepted task ends once, and is told under one id."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import httpx
import numpy as np

from app.db.engine import Database, database_url
from app.db.migrate import migrate
from app.tasks.faces import shown_face
from app.tasks.queue import TaskQueue
from app.tasks.signing import TextSigner
from app.tasks.store import TaskStore
from app.tasks.values import Status
from pipelines.attributes import Attribute, Emotion, FaceAttributes, Gender, Pose
from tests.app.records.requests import until
from tests.app.tasks.chunked import ChunkedPipeline
from tests.app.tasks.conftest import ALICE, PLANS, Desk
from tests.app.tasks.running_service import KEY, running_service
from tests.app.tasks.test_runner import running
from tests.fakes.file_server import serve_files
from tests.fakes.receiver import webhook_receiver
from tests.pictures import PORTRAIT, picture

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Postgres

TASKS = 12


def test_kills_of_the_whole_service(tmp_path: Path) -> None:
    """Killed twice in the middle of its work, the service ends every task it accepted, and tells each."""
    with serve_files() as media, webhook_receiver() as receiver:
        media.files["/portrait.png"] = picture(PORTRAIT).read_bytes()
        media.pause_s = 0.05
        made: list[str] = []
        for _ in range(2):
            with running_service(tmp_path) as service, httpx.Client(headers={"X-API-Key": KEY}) as client:
                for _ in range(TASKS // 2):
                    body = {
                        "type": "image",
                        "media_url": f"{media.url}/portrait.png",
                        "callback_url": receiver.url,
                    }
                    answer = client.post(f"{service.url}/v1/create-detection-task", json=body)
                    made.append(answer.json()["task_id"])
                time.sleep(0.15)
                os.kill(service.pid, signal.SIGKILL)
        with running_service(tmp_path) as service, httpx.Client(headers={"X-API-Key": KEY}) as client:
            deadline = time.monotonic() + 60
            open_ones = set(made)
            while open_ones:
                assert time.monotonic() < deadline, open_ones
                time.sleep(0.2)
                open_ones = {
                    task_id
                    for task_id in open_ones
                    if client.get(f"{service.url}/v1/task/{task_id}").json()["status"]
                    in {"queued", "running"}
                }
            results = {
                json.dumps(client.get(f"{service.url}/v1/task/{task_id}").json()["result"])
                for task_id in made
            }
            assert len(results) == 1
            assert "null" not in results
            receiver.wait_for(TASKS, 30)
            time.sleep(0.5)
        ids = defaultdict(set)
        for heard in receiver.heard:
            ids[json.loads(heard.body)["task_id"]].add(heard.headers["webhook-id"])
            assert json.loads(heard.body)["status"] == "succeeded"
        assert set(ids) == set(made)
        assert all(len(each) == 1 for each in ids.values()), "one id, however often it was told"
    assert not [path for path in (tmp_path / "scratch").glob("*/") if path.is_dir()]


async def test_a_database_that_goes_away_in_the_middle(postgres: Postgres, tmp_path: Path) -> None:
    """The runner waits for it, goes on with what it has, and nothing is done twice."""
    url = postgres.new_database()
    database = Database(database_url(url, tmp_path))
    await migrate(database)
    store, queue = TaskStore(database, TextSigner(database)), TaskQueue(database, PLANS)
    desk = Desk(database, store, queue, PLANS)
    pipeline = ChunkedPipeline(chunks=10, pause_s=0.1)
    try:
        async with running(desk, tmp_path, pipeline):
            task_id = await desk.create()

            async def has_begun() -> bool:
                return len(pipeline.seen) >= 3

            await until(has_begun)
            postgres.forbid_connections(url)
            await asyncio.sleep(3.0)
            postgres.allow_connections(url)

            async def is_over() -> bool:
                return (await store.get(ALICE, task_id)).status.is_terminal

            await until(is_over, 30)
        assert (await store.get(ALICE, task_id)).status is Status.SUCCEEDED
        assert sorted(pipeline.seen) == list(range(10))
    finally:
        await database.close()


def test_a_face_as_it_is_shown() -> None:
    """Attributes have the published shapes: whole pixels, words, one level of names."""
    told = FaceAttributes(
        age=28,
        gender=Gender.FEMALE,
        emotion=Emotion.HAPPY,
        pose=Pose(-4.31, 2.14, 0.66),
        glasses=False,
        mask=False,
        quality=0.91,
        landmarks=np.full((106, 2), 12.6, np.float32),
    )
    box = np.array([419.7, 180.2, 680.1, 440.4], np.float32)
    face = shown_face(box, 0.98214, (1920, 1080), told, tuple(Attribute))
    attributes = json.loads(json.dumps(face["attributes"]))
    assert (face["bbox"], face["confidence"]) == ([420, 180, 260, 260], 0.982)
    assert attributes.pop("landmarks") == [[13, 13]] * 106
    assert attributes == {
        "age": 28,
        "gender": "female",
        "emotion": "happy",
        "pose": {"yaw": -4.3, "pitch": 2.1, "roll": 0.7},
        "glasses": False,
        "mask": False,
        "quality": 0.91,
    }
    assert "attributes" not in shown_face(box, 0.9, (1920, 1080))
