"""A service that recognises people in tasks, in this process, over media that a test puts on a server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from app.db.task_tables import TaskChunkRow
from app.tasks.image_work import ImagePipeline
from app.tasks.values import TaskType
from app.tasks.video_work import AnimationPipeline, VideoPipeline
from tests.app.libraries.conftest import Replica, replica
from tests.app.records.requests import until
from tests.app.tasks.stage_play import PlayExecutor
from tests.fakes.file_server import serve_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from app.libraries.recognition import Recognizer
    from app.tasks.ports import MediaPipeline
    from app.tasks.recognizing import KnowsPeople
    from tests.app.libraries.speaking_pictures import SpeakingEngine
    from tests.fakes.file_server import FileServer


@dataclass
class Stage:
    """The service, its media, and who analyses them."""

    replica: Replica
    media: FileServer
    executor: PlayExecutor

    async def begin(self, kind: str, file: str, **fields: Any) -> str:  # noqa: ANN401 - JSON
        """Hand in a task that recognises, and return its identifier."""
        body = {"type": kind, "media_url": f"{self.media.url}{file}", "min_face_size": 10, "recognize": 1}
        answer = await self.replica.post(
            "/create-detection-task", **{**body, "library_id": "people", **fields}
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["task_id"])

    async def ended(self, task_id: str) -> dict[str, Any]:
        """Return a task once it has ended."""

        async def is_over() -> bool:
            return (await self.get(task_id))["status"] not in {"queued", "running"}

        await until(is_over, 30)
        return await self.get(task_id)

    async def result(self, kind: str, file: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Return what a new task finds, and under `id` which it is."""
        task = await self.ended(await self.begin(kind, file, **fields))
        assert task["status"] == "succeeded", task
        return {**task["result"], "id": task["task_id"]}

    async def get(self, task_id: str) -> dict[str, Any]:
        """Return a task as it is."""
        found: dict[str, Any] = (await self.replica.client.get(f"/v1/task/{task_id}")).json()
        return found

    async def persons(self, task_id: str, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - of the address
        """Return who appears when."""
        answer = await self.replica.client.get(f"/v1/task/{task_id}/persons", params=query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["persons"]
        return found

    async def chunks(self) -> int:
        """Return how many chunks of any task are kept."""
        assert self.replica.services.memory is not None
        async with self.replica.services.memory.database.read() as tx:
            return await tx.scalar(select(func.count()).select_from(TaskChunkRow)) or 0


@asynccontextmanager
async def stage(
    home: Path,
    *,
    chunk_work_s: float = 60.0,
    database: str | None = None,
    knows: Callable[[KnowsPeople], KnowsPeople] = lambda people: people,
) -> AsyncIterator[Stage]:
    """Open the service with an empty library.

    Args:
        home: its folder.
        chunk_work_s: as of `VideoPipeline`.
        database: the URL; a file in the folder by default.
        knows: who is asked instead of who knows people.
    """
    executor = PlayExecutor()

    def pipelines(people: Recognizer, engine: SpeakingEngine) -> Mapping[TaskType, MediaPipeline]:
        asked = knows(people)
        return {
            TaskType.IMAGE: ImagePipeline(engine, asked),
            TaskType.VIDEO: VideoPipeline(executor, chunk_work_s, asked),
            TaskType.GIF: AnimationPipeline(executor, asked),
        }

    with serve_files() as media:
        async with replica(home, database, pipelines=pipelines) as opened:
            yield Stage(opened, media, executor)
