"""Who it is, in tasks: pictures, videos and animations over HTTP, however they are cut, whoever goes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from app.client import AsyncClient, Connection
from tests.app.libraries.conftest import KEY, replica
from tests.app.libraries.speaking_pictures import photo, portrait, shot
from tests.app.records.requests import until
from tests.app.tasks.recognizing import Stage, stage
from tests.app.tasks.stage_play import Scene, drawn, play

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

#: Anna and a stranger, both there twice; Ben once, beside Anna.
SCENES = [
    Scene("anna", 0.0, 4.0),
    Scene("zoe", 1.0, 4.0, y=60),
    Scene("anna", 7.0, 11.0, y=60),
    Scene("ben", 8.0, 11.0),
    Scene("zoe", 12.0, 14.0),
]
SECONDS = 15.0


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the play as a video."""
    return play(SCENES, SECONDS, tmp_path_factory.mktemp("play") / "play.mp4")


@pytest.fixture
async def theatre(tmp_path: Path, video: bytes) -> AsyncIterator[Stage]:
    """Return a service that knows Anna and Ben, with the play in many chunks."""
    async with stage(tmp_path, chunk_work_s=0.02) as opened:
        await enrol(opened)
        opened.media.files["/play.mp4"] = video
        yield opened


async def enrol(opened: Stage) -> None:
    """Enrol Anna by two pictures, and Ben."""
    await opened.replica.library()
    for who, number in (("anna", 1001), ("anna", 1002), ("ben", 1001)):
        answer = await opened.replica.enrol(f"p_{who}", portrait(who, number), name=who.title())
        assert answer.status_code == 200, answer.text


async def test_a_picture(theatre: Stage) -> None:
    """Faces bear whom they resemble in the published fields; strangers nobody; nothing else comes along."""
    faces = [shot("anna", 5), shot("yan", 5), shot("ben", 5), shot("anna", 6)]
    theatre.media.files["/four.png"] = photo(*faces)
    found = await theatre.result("image", "/four.png", top_k=3)
    (frame,) = found["frames"]
    matches = [face["identity"]["matches"] for face in frame["faces"]]
    assert [[match["person_id"] for match in each] for each in matches] == [
        ["p_anna"],
        [],
        ["p_ben"],
        ["p_anna"],
    ]
    assert set(frame["faces"][0]) == {"face_id", "bbox", "confidence", "identity"}
    assert set(matches[0][0]) == {"person_id", "name", "score", "similarity"}
    assert matches[0][0]["name"] == "Anna"
    assert 0.70 <= matches[0][0]["score"] <= 1
    assert found["face_tracks"] == []
    assert found["summary"] == {"total_faces": 4, "unique_identities": 3}
    persons = await theatre.persons(found["id"])
    assert [(each["person_id"], each["unknown_id"], len(each["spans"])) for each in persons] == [
        ("p_anna", None, 2),
        (None, "u_2", 1),
        ("p_ben", None, 1),
    ]
    assert persons[0]["spans"][1] == {"start_ms": 0, "end_ms": 0, "face_id": "f_04"}


async def test_a_picture_of_nobody(theatre: Stage) -> None:
    """Without faces there is nobody, and nobody is asked for."""
    theatre.media.files["/none.png"] = photo()
    found = await theatre.result("image", "/none.png")
    assert found["frames"] == [{"timestamp": 0.0, "faces": []}]
    assert found["summary"] == {"total_faces": 0, "unique_identities": 0}
    assert await theatre.persons(found["id"]) == []


async def test_a_video(theatre: Stage) -> None:
    """Each track is somebody from its first frame to its last, and who comes back is counted once."""
    found = await theatre.result("video", "/play.mp4", sample_rate=10)
    tracks = {track["track_id"]: track for track in found["face_tracks"]}
    assert [track["person_id"] for track in tracks.values()] == ["p_anna", None, "p_anna", "p_ben", None]
    assert set(tracks["t_1"]) == {"track_id", "person_id", "appears_at", "disappears_at"}
    for frame in found["frames"]:
        for face in frame["faces"]:
            named = [match["person_id"] for match in face["identity"]["matches"]]
            who = tracks[face["track_id"]]["person_id"]
            assert named == ([] if who is None else [who])
    assert found["summary"] == {"total_faces": 5, "unique_identities": 3}
    persons = await theatre.persons(found["id"])
    assert [(each["person_id"], each["unknown_id"], each["name"]) for each in persons] == [
        ("p_anna", None, "Anna"),
        (None, "u_2", None),
        ("p_ben", None, "Ben"),
    ]
    spans = [
        [(span["track_id"], span["start_ms"], span["end_ms"]) for span in each["spans"]] for each in persons
    ]
    expected = [
        [("t_1", 0, 3900), ("t_3", 7000, 10900)],
        [("t_2", 1000, 3900), ("t_5", 12000, 13900)],
        [("t_4", 8000, 10900)],
    ]
    for row, wanted in zip(spans, expected, strict=True):
        assert [each[0] for each in row] == [each[0] for each in wanted]
        assert [each[1:] for each in row] == [pytest.approx(each[1:], abs=101) for each in wanted]


@pytest.mark.parametrize("rate", [2, 10, 20])
async def test_however_it_is_cut(tmp_path: Path, video: bytes, rate: int) -> None:
    """One chunk or many give the same names, scores and people, to the last digit."""
    results, runs = [], []
    for name, work_s in (("whole", 60.0), ("cut", 0.02)):
        (tmp_path / name).mkdir()
        async with stage(tmp_path / name, chunk_work_s=work_s) as opened:
            await enrol(opened)
            opened.media.files["/play.mp4"] = video
            found = await opened.result("video", "/play.mp4", sample_rate=rate, top_k=2)
            persons = await opened.persons(found.pop("id"))
            results.append((found, persons))
            runs.append(opened.executor.runs)
    assert runs[1] > 2 * runs[0]
    assert results[0] == results[1]
    assert results[0][0]["summary"]["unique_identities"] == 3


async def test_few_looks_are_enough(theatre: Stage) -> None:
    """However many frames are sampled, five of a second become vectors, and a few more where it is cut."""
    await theatre.result("video", "/play.mp4", sample_rate=20)
    seconds_of_faces = sum(scene.end_s - scene.start_s for scene in SCENES)
    assert theatre.executor.embedder.faces < 5 * seconds_of_faces + 2 * (theatre.executor.runs + len(SCENES))


async def test_nothing_is_embedded_that_nobody_asked_for(theatre: Stage) -> None:
    """A task that does not recognise makes no vectors, and names nobody."""
    found = await theatre.result("video", "/play.mp4", recognize=0)
    assert theatre.executor.embedder.faces == 0
    assert all("identity" not in face for frame in found["frames"] for face in frame["faces"])
    assert {track["person_id"] for track in found["face_tracks"]} == {None}
    answer = await theatre.replica.client.get(f"/v1/task/{found['id']}/persons")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


async def test_an_animation(theatre: Stage) -> None:
    """A GIF names people too."""
    pictures = [Image.fromarray(drawn(SCENES, each / 4)[:, :, ::-1]) for each in range(12)]
    data = io.BytesIO()
    pictures[0].save(data, "GIF", save_all=True, append_images=pictures[1:], duration=250, loop=0)
    theatre.media.files["/play.gif"] = data.getvalue()
    found = await theatre.result("gif", "/play.gif", sample_rate=4)
    assert [track["person_id"] for track in found["face_tracks"]] == ["p_anna", None]
    assert [each["spans"][0]["start_ms"] for each in await theatre.persons(found["id"])] == [0, 1000]


async def test_vectors_go_with_the_task(theatre: Stage) -> None:
    """When a task has ended none of its chunks is kept, and its result has no vectors in it."""
    task_id = await theatre.begin("video", "/play.mp4")
    theatre.media.files["/one.png"] = photo(shot("anna", 5))
    picture = await theatre.ended(await theatre.begin("image", "/one.png"))
    whole = await theatre.ended(task_id)
    assert await theatre.chunks() == 0
    assert "look" not in str(picture["result"]) + str(whole["result"])


async def test_people_in_pages(theatre: Stage) -> None:
    """The list of people comes in pages, each person once, and a cursor is good for its own task alone."""
    found = await theatre.result("video", "/play.mp4")
    client = theatre.replica.client
    seen, cursor, cursors = [], None, []
    while True:
        query = {"limit": 1} | ({} if cursor is None else {"cursor": cursor})
        answer = (await client.get(f"/v1/task/{found['id']}/persons", params=query)).json()
        seen += answer["persons"]
        if (cursor := answer["next_cursor"]) is None:
            break
        cursors.append(cursor)
    assert seen == await theatre.persons(found["id"])
    assert len(cursors) == 2
    other = await theatre.result("video", "/play.mp4")
    answer = await client.get(f"/v1/task/{other['id']}/persons", params={"cursor": cursors[0]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


async def test_whose_library_it_is(theatre: Stage) -> None:
    """A library that is not there, is another's or of another network is told when the task is handed in."""
    body: dict[str, Any] = {"type": "video", "media_url": f"{theatre.media.url}/play.mp4", "recognize": 1}

    async def refused(client: Any, library: str | None) -> tuple[int, str]:  # noqa: ANN401 - any client
        answer = await client.post("/v1/create-detection-task", json={**body, "library_id": library})
        return answer.status_code, answer.json()["error"]["code"]

    assert await refused(theatre.replica.client, "nowhere") == (404, "not_found")
    assert await refused(theatre.replica.client, None) == (400, "invalid_request")
    another = await theatre.replica.as_another()
    assert await refused(another, "people") == (403, "forbidden")
    begun = await theatre.begin("video", "/play.mp4")
    answer = await another.get(f"/v1/task/{begun}/persons")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    await theatre.ended(begun)
    await another.aclose()


async def test_a_library_of_another_network(tmp_path: Path) -> None:
    """A task is refused whose library was built with another network than the one that runs here."""
    async with stage(tmp_path) as opened:
        await enrol(opened)
    async with replica(tmp_path, space="another") as after:
        body = {"type": "image", "media_url": "https://example.com/a.png", "recognize": 1}
        answer = await after.post("/create-detection-task", **body, library_id="people")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


async def test_the_same_request_after_its_library_went(theatre: Stage) -> None:
    """A request that is sent again gets its first answer, whatever became of the library meanwhile."""
    body = {
        "type": "video",
        "media_url": f"{theatre.media.url}/play.mp4",
        "recognize": 1,
        "library_id": "people",
    }
    client, keyed = theatre.replica.client, {"Idempotency-Key": "once"}
    first = await client.post("/v1/create-detection-task", json=body, headers=keyed)
    await theatre.ended(first.json()["task_id"])
    await client.delete("/v1/library/people")
    again = await client.post("/v1/create-detection-task", json=body, headers=keyed)
    assert (again.status_code, again.json()["task_id"]) == (200, first.json()["task_id"])


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_a_library_deleted_during_the_task(
    tmp_path: Path, video: bytes, database: str, request: pytest.FixtureRequest
) -> None:
    """The task fails and says so, its chunks go, and nobody else is hurt."""
    url = None if database == "sqlite" else request.getfixturevalue("postgres").new_database()
    async with stage(tmp_path, chunk_work_s=0.02, database=url) as opened:
        await enrol(opened)
        opened.media.files["/play.mp4"] = video
        opened.executor.go_on.clear()
        task_id = await opened.begin("video", "/play.mp4")
        await until(lambda: _is(opened, task_id, "running"))
        await opened.replica.client.delete("/v1/library/people")
        opened.executor.go_on.set()
        task = await opened.ended(task_id)
        assert (task["status"], task["result"]) == ("failed", None)
        assert task["error"] == {"code": "not_found", "message": "There is no such library."}
        assert await opened.chunks() == 0
        again = await opened.ended(await opened.begin("video", "/play.mp4", recognize=0, library_id=None))
        assert again["status"] == "succeeded"


async def test_somebody_erased_during_the_task(theatre: Stage) -> None:
    """Who is erased while a video is looked at is nobody known in its result."""
    theatre.executor.go_on.clear()
    task_id = await theatre.begin("video", "/play.mp4")
    await until(lambda: _is(theatre, task_id, "running"))
    answer = await theatre.replica.client.delete("/v1/library/people/person/p_anna?everywhere=true")
    assert answer.status_code == 200
    theatre.executor.go_on.set()
    task = await theatre.ended(task_id)
    people = {track["person_id"] for track in task["result"]["face_tracks"]}
    assert people == {None, "p_ben"}
    assert task["result"]["summary"]["unique_identities"] == 3


async def _is(opened: Stage, task_id: str, status: str) -> bool:
    return bool((await opened.get(task_id))["status"] == status)


async def test_the_client_reads_it(theatre: Stage) -> None:
    """The Python client tells who appears when, page by page."""
    found = await theatre.result("video", "/play.mp4")
    connection = Connection("http://facefleet.test", KEY)
    async with AsyncClient(connection, http=theatre.replica.client) as client:
        page = await client.tasks.persons(found["id"], limit=2)
        assert [(each.person_id, each.unknown_id) for each in page.persons] == [
            ("p_anna", None),
            (None, "u_2"),
        ]
        assert [span.track_id for span in page.persons[0].spans] == ["t_1", "t_3"]
        rest = await client.tasks.persons(found["id"], cursor=page.next_cursor)
        assert [(each.name, rest.next_cursor) for each in rest.persons] == [("Ben", None)]
        task = await client.tasks.get(found["id"])
        assert task.result is not None
        assert task.result.frames[0].faces[0].identity is not None


async def test_the_console_tells_who_appears(theatre: Stage) -> None:
    """A task's page lists people with their spans; that of an import tells how many there were."""
    found = await theatre.result("video", "/play.mp4")
    client = theatre.replica.client
    await client.post("/login", data={"username": "admin", "password": "correct horse"})
    page = (await client.get(f"/tasks/{found['id']}")).text
    card = page.partition("Who appears when")[2].partition("</section>")[0]
    assert "Anna" in card
    assert "Unknown u_2" in card
    assert "12" in card
    plain = await theatre.result("video", "/play.mp4", recognize=0)
    assert "Who appears when" not in (await client.get(f"/tasks/{plain['id']}")).text
