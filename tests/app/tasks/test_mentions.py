"""People erased out of results that are stored already, on both databases."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from app.tasks import mentions
from app.tasks.mentions import without_people
from pipelines.errors import DependencyDown
from tests.app.libraries.speaking_pictures import photo, portrait, shot
from tests.app.records.requests import until
from tests.app.tasks.recognizing import Stage, stage
from tests.app.tasks.stage_play import Scene, play

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from pathlib import Path
    from uuid import UUID

    import numpy as np
    from numpy.typing import NDArray

    from app.libraries.values import Library, Match
    from app.tasks.recognizing import KnowsPeople
    from pipelines.similarity import Calibration

SCENES = [Scene("anna", 0.0, 3.0), Scene("ben", 1.0, 3.0, y=60), Scene("anna", 5.0, 6.0)]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a short play."""
    return play(SCENES, 7.0, tmp_path_factory.mktemp("play") / "play.mp4")


@pytest.fixture
async def theatre(tmp_path: Path, db_url: str, video: bytes) -> AsyncIterator[Stage]:
    """Return a service that knows Anna and Ben; each test runs on both kinds of databases."""
    async with stage(tmp_path, database=db_url) as opened:
        await _prepared(opened, video)
        yield opened


async def _prepared(opened: Stage, video: bytes) -> None:
    await opened.replica.library()
    for who in ("anna", "ben"):
        await opened.replica.enrol(f"p_{who}", portrait(who, 1001), name=f"{who.title()} Who")
    opened.media.files |= {"/play.mp4": video, "/two.png": photo(shot("ben"), shot("anna"))}


async def _erased(opened: Stage, person: str, **query: Any) -> int:  # noqa: ANN401 - of the address
    answer = await opened.replica.client.delete(f"/v1/library/people/person/{person}", params=query)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["mentions_erased"])


async def test_somebody_is_taken_out_of_results(theatre: Stage) -> None:
    """Faces, tracks and the list of people name the erased no more; others and all numbers stay."""
    video = await theatre.result("video", "/play.mp4")
    picture = await theatre.result("image", "/two.png")
    strangers = await theatre.result("image", "/two.png", recognize=0)
    persons = await theatre.persons(video["id"])
    assert await _erased(theatre, "p_anna", everywhere=True) == 2
    assert theatre.replica.services.memory is not None
    (note,) = await theatre.replica.services.memory.audit.list()
    assert (note.action, note.detail["mentions"]) == ("person.erase", 2)

    after = (await theatre.get(video["id"]))["result"]
    assert [track["person_id"] for track in after["face_tracks"]] == [None, "p_ben", None]
    for before, now in zip(video["frames"], after["frames"], strict=True):
        for face, left in zip(before["faces"], now["faces"], strict=True):
            stay = [each for each in face["identity"]["matches"] if each["person_id"] != "p_anna"]
            assert left == {**face, "identity": {"matches": stay}}
    assert after["summary"] == video["summary"]
    anna, ben = await theatre.persons(video["id"])
    assert anna == {**persons[0], "person_id": None, "unknown_id": "u_1", "name": None, "score": None}
    assert ben == persons[1]

    after = (await theatre.get(picture["id"]))["result"]
    named = [[match["name"] for match in face["identity"]["matches"]] for face in after["frames"][0]["faces"]]
    assert named == [["Ben Who"], []]
    assert [each["unknown_id"] for each in await theatre.persons(picture["id"])] == [None, "u_2"]
    assert (await theatre.get(strangers["id"]))["result"]["frames"] == strangers["frames"]
    paged = await theatre.replica.client.get(f"/v1/task/{video['id']}/result")
    assert "nna" not in paged.text
    assert await _erased(theatre, "p_ben", everywhere=True) == 2


async def test_results_stay_where_that_is_not_asked(theatre: Stage) -> None:
    """Without the request a result stays what it was; a person enrolled anew can be taken out later."""
    found = await theatre.result("image", "/two.png")
    assert await _erased(theatre, "p_anna") == 0
    assert (await theatre.get(found["id"]))["result"]["frames"] == found["frames"]
    await theatre.replica.enrol("p_anna", portrait("anna", 1001))
    assert await _erased(theatre, "p_anna", everywhere=True) == 1
    assert "p_anna" not in str(await theatre.get(found["id"]))


async def test_a_library_is_taken_out_of_results(theatre: Stage) -> None:
    """On request nobody of a deleted library is named any more; without it results stay what they were."""
    play = await theatre.result("video", "/play.mp4")
    picture = await theatre.result("image", "/two.png")
    await theatre.replica.library("others")
    await theatre.replica.enrol("p_ben", portrait("ben", 1001), "others", name="Ben Who")
    elsewhere = await theatre.result("image", "/two.png", library_id="others")
    client = theatre.replica.client

    assert (await client.delete("/v1/library/people")).json()["mentions_erased"] == 0
    assert (await theatre.get(play["id"]))["result"]["frames"] == play["frames"]
    assert [each["name"] for each in await theatre.persons(play["id"])] == ["Anna Who", "Ben Who"]

    await theatre.replica.library()
    gone = await client.delete("/v1/library/people", params={"everywhere": True})
    assert gone.json()["mentions_erased"] == 2
    for task in (play, picture):
        answer = await client.get(f"/v1/task/{task['id']}")
        assert "Who" not in answer.text
        assert "p_" not in answer.text.replace("http_", "")
        assert {each["name"] for each in await theatre.persons(task["id"])} == {None}
    assert (await theatre.get(elsewhere["id"]))["result"]["frames"] == elsewhere["frames"]
    assert theatre.replica.services.memory is not None
    note, before, *_ = await theatre.replica.services.memory.audit.list()
    assert (note.action, note.detail) == ("library.delete", {"persons": 0, "faces": 0, "mentions": 2})
    assert before.detail == {"persons": 2, "faces": 2}


async def test_an_erasure_that_was_broken_off_is_finished(
    theatre: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the process stops half way, people are gone at once, and results follow without being asked."""
    first, second = [await theatre.result("image", "/two.png") for _ in range(2)]
    rewritten: list[bytes] = []

    def once(page: bytes, people: Collection[str]) -> tuple[int, bytes] | None:
        if rewritten:
            message = "the power is gone"
            raise DependencyDown(message, 1)
        rewritten.append(page)
        return without_people(page, people)

    with monkeypatch.context() as patched:
        patched.setattr(mentions, "without_people", once)
        answer = await theatre.replica.client.delete("/v1/library/people/person/p_anna?everywhere=true")
        assert answer.status_code == 503, answer.text
    assert await theatre.replica.who(portrait("anna", 7)) == [[]]

    async def is_finished() -> bool:
        return not any(["nna" in str(await theatre.get(task["id"])) for task in (first, second)])

    await until(is_finished, 10)
    assert "p_ben" in str(await theatre.get(first["id"]))


class Slow:
    """Knows people, and hesitates before it says whom."""

    def __init__(self, people: KnowsPeople) -> None:
        self._people = people
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    @property
    def calibration(self) -> Calibration:
        """Return the true one."""
        return self._people.calibration

    async def library(self, owner: UUID, handle: str) -> Library:
        """Return the true one."""
        return await self._people.library(owner, handle)

    async def matches(
        self, library: Library, vectors: NDArray[np.float32], count: int = 1
    ) -> list[list[Match]]:
        """Return what is true, later."""
        found = await self._people.matches(library, vectors, count)
        self.asked.set()
        await self.go_on.wait()
        return found


@pytest.mark.parametrize("kind", ["image", "video"])
async def test_erased_between_the_answer_and_the_result(
    tmp_path: Path, db_url: str, video: bytes, kind: str
) -> None:
    """A task that already knows the erased, and has not written it down, finds out anew."""
    made: list[Slow] = []

    def slowly(people: KnowsPeople) -> Slow:
        made.append(Slow(people))
        return made[0]

    async with stage(tmp_path, database=db_url, knows=slowly) as opened:
        await _prepared(opened, video)
        task_id = await opened.begin(kind, "/play.mp4" if kind == "video" else "/two.png")
        await asyncio.wait_for(made[0].asked.wait(), 10)
        assert await _erased(opened, "p_anna", everywhere=True) == 0
        made[0].go_on.set()

        async def is_done() -> bool:
            return bool((await opened.get(task_id))["status"] == "succeeded")

        await until(is_done, 20)
        assert "nna" not in str(await opened.get(task_id))
        assert "p_ben" in str(await opened.get(task_id))
