"""Libraries over both databases, as clients use them: over HTTP, of one or of several processes."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from app.api import create_app
from app.libraries.opening import EmbeddingModel, Libraries, open_libraries, open_recognizer
from app.plans import Plan
from app.records.values import Actor
from app.services import Services, open_services
from app.settings import Settings
from app.tasks.importing import people_import
from app.tasks.mentions import TaskMentions
from app.tasks.opening import open_tasks
from app.tasks.runner import RunnerPace
from tests.app.conftest import client_of
from tests.app.libraries.speaking_pictures import CALIBRATION, SPACE, SpeakingEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    import httpx

    from app.libraries.erasing import Mentions
    from app.libraries.recognition import Recognizer
    from app.tasks.ports import MaskPipeline, MediaPipeline
    from app.tasks.values import TaskType

KEY = "the-key-of-this-test"
ADMIN = Actor("admin", "192.0.2.1")
SMALL = Plan(requests_per_minute=6000, concurrent_tasks=1, libraries=2, persons_per_library=3)


@dataclass
class Replica:
    """One process of the service, spoken to as the bootstrap key."""

    client: httpx.AsyncClient
    app: Any
    services: Services
    libraries: Libraries
    engine: SpeakingEngine

    async def post(self, path: str, **body: Any) -> httpx.Response:  # noqa: ANN401 - JSON
        """Send JSON."""
        return await self.client.post(f"/v1{path}", json=body)

    async def library(self, handle: str = "people", **fields: Any) -> None:  # noqa: ANN401 - JSON
        """Make a library."""
        answer = await self.post("/library", library_id=handle, **fields)
        assert answer.status_code == 200, answer.text

    async def enrol(self, person: str, url: str, library: str = "people", **fields: Any) -> httpx.Response:  # noqa: ANN401 - JSON
        """Enrol somebody."""
        return await self.post(f"/library/{library}/face", person_id=person, image_url=url, **fields)

    async def who(self, url: str, library: str = "people", **fields: Any) -> list[list[str]]:  # noqa: ANN401 - JSON
        """Return who is found for each face of a picture."""
        answer = await self.post(f"/library/{library}/search", image_url=url, **fields)
        assert answer.status_code == 200, answer.text
        return [[match["person_id"] for match in face["matches"]] for face in answer.json()["faces"]]

    async def as_another(self, plan: str = "default") -> httpx.AsyncClient:
        """Return a client with a key of its own."""
        assert self.services.memory is not None
        made = await self.services.memory.keys.create("another", ADMIN, plan)
        return client_of(self.app, made.key)


@asynccontextmanager
async def replica(
    home: Path,
    database: str | None = None,
    *,
    space: str = SPACE,
    mentions: Mentions | None = None,
    pipelines: Callable[[Recognizer, SpeakingEngine], Mapping[TaskType, MediaPipeline]] | None = None,
    imports: bool = False,
    maskers: Callable[[Recognizer, SpeakingEngine], Mapping[TaskType, MaskPipeline]] | None = None,
    **settings: Any,  # noqa: ANN401
) -> AsyncIterator[Replica]:
    """Open the service in this process; several may share a database.

    Args:
        home: its folder.
        database: the URL; a file in the folder by default.
        space: of its vectors.
        mentions: where people may be named; in its tasks by default.
        pipelines: who analyses tasks here; nobody by default.
        imports: enrol lists of people here.
        maskers: who masks media here; nobody by default.
        settings: of the service.
    """
    engine = SpeakingEngine()
    chosen = Settings(
        home=home,
        bootstrap_key=SecretStr(KEY),
        admin_password=SecretStr("correct horse"),
        database_url=None if database is None else SecretStr(database),
        plans={"default": Plan(requests_per_minute=10**6, concurrent_tasks=10), "small": SMALL},
        fetch_allow=("127.0.0.1",),
        **settings,
    )
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(chosen, engine))
        model = EmbeddingModel(space, CALIBRATION)
        runs, masks, importer = None, None, None
        if pipelines is not None or maskers is not None or imports:
            assert services.memory is not None
            people = await stack.enter_async_context(
                open_recognizer(services.memory.database, model, 10**8, 0.2)
            )
            runs = {} if pipelines is None else pipelines(people, engine)
            masks = None if maskers is None else maskers(people, engine)
            importer = people_import(services, people)
        pace = RunnerPace(lease_s=2.0, poll_s=0.05, check_s=0.1)
        tasks = await stack.enter_async_context(
            open_tasks(services, runs, maskers=masks, importer=importer, pace=pace)
        )
        mentions = mentions or TaskMentions(tasks.wake)
        libraries = await stack.enter_async_context(
            open_libraries(services, model, uploads=tasks.uploads, mentions=mentions, tidy_every_s=0.2)
        )
        app = create_app(services, tasks=tasks, libraries=libraries)
        client = await stack.enter_async_context(client_of(app, KEY))
        yield Replica(client, app, services, libraries, engine)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Replica]:
    """Return a service over SQLite, for what is no matter of databases."""
    async with replica(tmp_path) as opened:
        yield opened


@pytest.fixture
async def pair(tmp_path: Path, db_url: str) -> AsyncIterator[tuple[Replica, Replica]]:
    """Return two processes over one database; each test runs on both kinds."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with replica(tmp_path / "one", db_url) as one, replica(tmp_path / "two", db_url) as two:
        yield one, two
