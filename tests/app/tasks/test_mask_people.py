"""Masked media in which some stay visible, or some alone are hidden: everybody's frames, one by one."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from PIL import Image

from app.tasks.mask_animation import MaskAnimationPipeline
from app.tasks.mask_image import MaskImagePipeline
from app.tasks.mask_jobs import FindJob
from app.tasks.mask_video import MaskVideoPipeline
from app.tasks.values import TaskType
from pipelines.lane import HereLane
from pipelines.redact.find import find_faces
from pipelines.video.analyze_chunk import ChunkAnalyzer
from tests.app.libraries.conftest import Replica, replica
from tests.app.libraries.speaking_pictures import photo, portrait, shot
from tests.app.records.requests import until
from tests.app.tasks.stage_play import COLOURS, FPS, ColourDetector, ColourEmbedder, Scene, drawn, play
from tests.fakes.file_server import FileServer, serve_files
from tests.pipelines.redact.redacting import pictures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from app.libraries.recognition import Recognizer
    from app.tasks.mask_jobs import MaskJob
    from tests.app.libraries.speaking_pictures import SpeakingEngine

#: Anna beside a stranger, later beside Ben; and once more alone.
SCENES = [
    Scene("anna", 0.0, 3.0, y=4),
    Scene("zoe", 0.5, 2.5, y=70),
    Scene("ben", 1.5, 3.0, y=37),
    Scene("anna", 4.8, 5.8, y=60),
]
SECONDS = 6.0


class PlayMasker:
    """Does chunks of both passes in this process."""

    async def run(self, job: MaskJob) -> bytes:
        """Do a chunk."""
        if not isinstance(job, FindJob):
            return await asyncio.to_thread(job.run)
        analyzer = ChunkAnalyzer(ColourDetector(), HereLane(), small_side=0, embedder=ColourEmbedder())
        return await find_faces(analyzer, job.frames, job.options)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[tuple[Replica, FileServer]]:
    """Return a service that knows Anna and Ben, and its media."""

    def maskers(people: Recognizer, engine: SpeakingEngine) -> dict[TaskType, Any]:
        return {
            TaskType.IMAGE: MaskImagePipeline(engine, people),
            TaskType.VIDEO: MaskVideoPipeline(PlayMasker(), 0.05, people),
            TaskType.GIF: MaskAnimationPipeline(PlayMasker(), people),
        }

    with serve_files() as media:
        async with replica(tmp_path, maskers=maskers) as opened:
            await opened.library()
            for who, number in (("anna", 1001), ("anna", 1002), ("ben", 1001)):
                answer = await opened.enrol(f"p_{who}", portrait(who, number), name=who.title())
                assert answer.status_code == 200, answer.text
            yield opened, media


async def masked(
    service: tuple[Replica, FileServer],
    data: bytes,
    **fields: Any,  # noqa: ANN401 - JSON
) -> tuple[dict[str, Any], bytes]:
    """Have media masked, and return the result and the file."""
    opened, media = service
    media.files["/media"] = data
    body = {
        "type": "video",
        "media_url": f"{media.url}/media",
        "method": "solid",
        "padding": 0,
        "min_face_size": 0,
        "library_id": "people",
        **fields,
    }
    made = await opened.post("/create-mask-task", **body)
    assert made.status_code == 200, made.text
    path = f"/v1/task/{made.json()['task_id']}"

    async def is_over() -> bool:
        return (await opened.client.get(path)).json()["status"] not in {"queued", "running"}

    await until(is_over, 40)
    task = (await opened.client.get(path)).json()
    assert task["status"] == "succeeded", task
    result: dict[str, Any] = task["result"]
    return result, (await opened.client.get(result["output"]["url"])).content


def seen(pixels: Any) -> set[str]:  # noqa: ANN401 - pixels
    """Return whose colours are to be seen."""
    found = set()
    for who, colour in COLOURS.items():
        near = np.abs(pixels.astype(int) - colour).max(axis=2) < 70
        if near.sum() > 100:
            found.add(who)
    return found


def shown_in(film: bytes, path: Path) -> list[set[str]]:
    """Return whose colours are to be seen in each frame of a video."""
    path.write_bytes(film)
    return [seen(frame.to_ndarray(format="bgr24")) for frame in pictures(path)]


def there(at_s: float) -> set[str]:
    """Return who is on stage."""
    return {scene.who for scene in SCENES if scene.start_s <= at_s < scene.end_s}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the play as a video."""
    return play(SCENES, SECONDS, tmp_path_factory.mktemp("play") / "play.mp4")


async def test_everybody_but_our_staff_is_hidden(
    service: tuple[Replica, FileServer], video: bytes, tmp_path: Path
) -> None:
    """Anna is to be seen in nearly all of her frames, in the others' frames never anybody else."""
    _, film = await masked(service, video, keep=["p_anna"])
    shown = shown_in(film, tmp_path / "film.mp4")
    assert len(shown) == SECONDS * FPS
    assert set().union(*shown) == {"anna"}
    annas = [index for index in range(len(shown)) if "anna" in there(index / FPS)]
    assert sum("anna" in shown[index] for index in annas) > 0.9 * len(annas)


async def test_one_person_alone_is_hidden(
    service: tuple[Replica, FileServer], video: bytes, tmp_path: Path
) -> None:
    """Anna is to be seen in no frame; Ben and the stranger, whom nobody knows, in nearly all of theirs."""
    _, film = await masked(service, video, only=["p_anna"])
    shown = shown_in(film, tmp_path / "film.mp4")
    assert set().union(*shown) == {"ben", "zoe"}
    for who in ("ben", "zoe"):
        frames = [index for index in range(len(shown)) if who in there(index / FPS)]
        assert sum(who in shown[index] for index in frames) > 0.9 * len(frames)


async def test_who_takes_somebodys_place_is_not_shown(
    service: tuple[Replica, FileServer],
) -> None:
    """A track that is Anna first and a stranger from one frame on shows no frame of the stranger."""
    frames = [
        drawn([Scene("anna" if index < 2 * FPS else "zoe", 0.0, 3.0)], index / FPS)
        for index in range(3 * FPS)
    ]
    stills = [Image.fromarray(cv2.cvtColor(each, cv2.COLOR_BGR2RGB)) for each in frames]
    written = io.BytesIO()
    stills[0].save(written, "GIF", save_all=True, append_images=stills[1:], duration=50, loop=0)
    _, film = await masked(service, written.getvalue(), type="gif", keep=["p_anna"])
    with Image.open(io.BytesIO(film)) as opened:
        shown = []
        for index in range(opened.n_frames):
            opened.seek(index)
            shown.append(seen(cv2.cvtColor(np.array(opened.convert("RGB")), cv2.COLOR_RGB2BGR)))
    assert set().union(*shown) == {"anna"}


@pytest.mark.parametrize(
    ("choice", "visible"), [({"keep": ["p_ben"]}, [2]), ({"only": ["p_ben"]}, [0, 1]), ({}, [])]
)
async def test_a_picture(
    service: tuple[Replica, FileServer], choice: dict[str, Any], visible: list[int]
) -> None:
    """Of a picture's faces only those who are surely meant, or surely not, stay as they are."""
    data = photo(shot("anna", 5), shot("yan", 5), shot("ben", 5))
    result, _ = await masked(service, data, type="image", report="frames", **choice)
    (frame,) = result["frames"]
    hidden = {face["bbox"][0] // 100 for face in frame["faces"]}
    assert hidden == {0, 1, 2} - set(visible)
    assert result["summary"]["total_faces"] == len(hidden)


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({"keep": ["p_nobody"]}, 400, "p_nobody"),
        ({"only": ["p_anna", "p_nobody"]}, 400, "p_nobody"),
        ({"keep": ["p_anna"], "only": ["p_ben"]}, 400, "only"),
        ({"keep": ["p_anna"], "library_id": "none"}, 404, "library"),
        ({"keep": ["p_anna"], "library_id": None}, 400, "library_id"),
        ({"keep": [""]}, 400, "keep"),
    ],
)
async def test_people_who_are_not_known_are_refused(
    service: tuple[Replica, FileServer], fields: dict[str, Any], status: int, word: str
) -> None:
    """Whoever would be hidden and cannot be recognised is named at once, not shown later."""
    body = {"type": "video", "media_url": f"{service[1].url}/media", "library_id": "people", **fields}
    answer = await service[0].post("/create-mask-task", **body)
    assert answer.status_code == status, answer.text
    assert word in answer.json()["error"]["message"].lower()
