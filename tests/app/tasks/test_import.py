"""Lists of people as tasks: a verdict for each picture, nobody twice, and whatever a file may be."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from app.client import AsyncClient, Connection
from app.libraries import import_files
from app.tasks import import_work
from app.tasks.ports import WorkerDied
from pipelines.errors import InvalidMedia
from tests.app.libraries.conftest import KEY, Replica, replica
from tests.app.libraries.speaking_pictures import photo, portrait, shot
from tests.app.records.requests import until
from tests.fakes.file_server import FileServer, serve_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture
def media() -> Iterator[FileServer]:
    """Serve what tests put there."""
    with serve_files() as server:
        yield server


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Replica]:
    """Return a service that imports, with an empty library."""
    async with replica(tmp_path, imports=True) as opened:
        await opened.library()
        yield opened


def table(*rows: dict[str, str]) -> bytes:
    """Return a CSV as spreadsheets write it."""
    out = io.StringIO()
    writer = csv.DictWriter(out, ["person_id", "name", "image_url", "metadata"], restval="")
    writer.writeheader()
    writer.writerows(rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def archive(**files: bytes | str) -> bytes:
    """Return a ZIP of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in files.items():
            zipped.writestr(name, data)
    return out.getvalue()


async def imported(service: Replica, media: FileServer, data: bytes, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the task of a file once it has ended."""
    media.files["/list"] = data
    answer = await service.post("/library/people/import", media_url=f"{media.url}/list", **fields)
    assert answer.status_code == 200, answer.text
    return await ended(service, answer.json()["task_id"])


async def ended(service: Replica, task_id: str) -> dict[str, Any]:
    """Return a task once it has ended."""
    task: dict[str, Any] = {}

    async def is_over() -> bool:
        nonlocal task
        task = (await service.client.get(f"/v1/task/{task_id}")).json()
        return task["status"] not in {"queued", "running"}

    await until(is_over, 30)
    return task


def verdicts(task: dict[str, Any]) -> dict[int, str]:
    """Return what became of each row, by its number: `enrolled`, or why not."""
    assert task["status"] == "succeeded", task["error"]
    return {
        row["row"]: row["status"] if row["status"] == "enrolled" else row.get("reason", row["code"])
        for row in task["result"]["rows"]
    }


async def test_a_table(service: Replica, media: FileServer) -> None:
    """Each row of a CSV is enrolled or refused with its reason; who is enrolled is found at once."""
    media.files |= {"/anna.png": photo(shot("anna")), "/two.png": photo(shot("anna"), shot("ben"))}
    media.files |= {
        "/none.png": photo(),
        "/text.png": b"I am a picture",
        "/dark.png": photo(shot("x", brightness=0.01)),
    }
    url = media.url
    task = await imported(
        service,
        media,
        table(
            {
                "person_id": "anna",
                "name": "Anna",
                "image_url": f"{url}/anna.png",
                "metadata": '{"team": "a"}',
            },
            {"person_id": "ben", "image_url": portrait("ben")[:100_000]},
            {"person_id": "two", "image_url": f"{url}/two.png"},
            {"person_id": "none", "image_url": f"{url}/none.png"},
            {"person_id": "dark", "image_url": f"{url}/dark.png"},
            {"person_id": "text", "image_url": f"{url}/text.png"},
            {"person_id": "gone", "image_url": f"{url}/gone.png"},
            {"person_id": "inward", "image_url": "http://169.254.169.254/latest"},
            {"person_id": "a/b", "image_url": f"{url}/anna.png"},
            {"person_id": "", "image_url": f"{url}/anna.png"},
            {"person_id": "odd", "image_url": f"{url}/anna.png", "metadata": "[1]"},
            {"person_id": "anna", "image_url": f"{url}/anna.png"},
        ),
        metadata={"from": "hr"},
    )
    assert verdicts(task) == {
        1: "enrolled",
        2: "invalid_media",
        3: "several_faces",
        4: "no_faces_detected",
        5: "too_dark",
        6: "invalid_media",
        7: "invalid_media",
        8: "invalid_media",
        9: "invalid_request",
        10: "invalid_request",
        11: "invalid_request",
        12: "enrolled",
    }
    assert (task["type"], task["operation"], task["progress"]) == ("import", "import", 1.0)
    result = task["result"]
    assert result["summary"] == {"rows": 12, "enrolled": 2, "refused": 10}
    assert result["metadata"] == {"from": "hr"}
    assert "frames" not in result
    assert set(result["rows"][0]) == {"row", "person_id", "status", "face_id", "quality"}
    assert await service.who(portrait("anna", 7)) == [["anna"]]
    person = (await service.client.get("/v1/library/people/person/anna")).json()
    assert (person["name"], person["metadata"], person["face_count"]) == ("Anna", {"team": "a"}, 2)


async def test_an_archive_of_folders(service: Replica, media: FileServer) -> None:
    """A ZIP has a folder for each person; what systems put beside pictures is no row."""
    files: dict[str, bytes | str] = {
        "staff/anna/1.png": photo(shot("anna", 1)),
        "staff/ben/one.PNG": photo(shot("ben", 1)),
        "staff/anna/2.png": photo(shot("anna", 2)),
        "staff/Ünal 李/1.png": photo(shot("li", 1)),
        "../../evil/1.png": photo(shot("evil", 1)),
        "staff/anna/.DS_Store": b"?",
        "__MACOSX/anna/._1.png": b"?",
        "staff/anna/notes.txt": b"?",
        "loose.png": photo(shot("nobody")),
    }
    task = await imported(service, media, archive(**files))
    assert set(verdicts(task).values()) == {"enrolled"}
    rows = [(row["person_id"], row["image"]) for row in task["result"]["rows"]]
    assert rows[:2] == [("anna", "staff/anna/1.png"), ("anna", "staff/anna/2.png")]
    assert {person for person, _ in rows} == {"anna", "ben", "Ünal 李"}
    assert await service.who(portrait("li", 7)) == [["Ünal 李"]]


async def test_an_archive_with_a_table(service: Replica, media: FileServer) -> None:
    """A ZIP may name people in a table beside the pictures."""
    listing = 'person_id,name,image,metadata\np1,"Who, Anna",a.png,"{""x"": 1}"\np2,Ben,missing.png,\n'
    files: dict[str, bytes | str] = {"in/people.csv": listing, "in/a.png": photo(shot("anna"))}
    task = await imported(service, media, archive(**files))
    assert verdicts(task) == {1: "enrolled", 2: "invalid_media"}
    person = (await service.client.get("/v1/library/people/person/p1")).json()
    assert (person["name"], person["metadata"]) == ("Who, Anna", {"x": 1})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\n", "columns person_id"),
        (b"person_id,name\na,b\n", "columns person_id"),
        (b"person_id,image_url\n", "nobody"),
        (b"\xff\xfe\x00\x01" * 100, "neither"),
        (b"PK\x03\x04 I am no archive", "cannot be read"),
        (archive(**{"readme.txt": "nobody here"}), "nobody"),
        (b'person_id,image_url\n"a,' + b"x" * 200_000, "neither"),
    ],
)
async def test_what_is_no_list(service: Replica, media: FileServer, data: bytes, words: str) -> None:
    """A file that lists nobody fails the task in words; nothing is enrolled."""
    task = await imported(service, media, data)
    assert (task["status"], task["error"]["code"]) == ("failed", "invalid_media")
    assert words in task["error"]["message"]


def test_archives_that_would_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many pictures, an endless list of files, and pictures that unpack to more than is allowed."""
    bomb = tmp_path / "bomb.zip"
    bomb.write_bytes(archive(**{"a/1.png": bytes(5_000_000)}))
    with pytest.raises(Exception, match="more than 1000000 bytes"):
        import_files.read_member(bomb, "a/1.png", 1_000_000)
    huge = tmp_path / "huge.zip"
    data = bytearray(archive(**{"a/1.png": b"x"}))
    at = data.rfind(b"PK\x05\x06")
    data[at + 12 : at + 16] = (2**31).to_bytes(4, "little")
    huge.write_bytes(data)
    with pytest.raises(InvalidMedia, match="More than"):
        import_files.read_candidates(huge)
    monkeypatch.setattr(import_files, "MOST_ROWS", 3)
    many = tmp_path / "many.zip"
    many.write_bytes(archive(**{f"p{each}/1.png": b"x" for each in range(4)}))
    with pytest.raises(InvalidMedia, match="More than 3"):
        import_files.read_candidates(many)


async def test_who_is_enrolled_again_after_a_death(
    service: Replica, media: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks that are done again enrol nobody twice, and pictures of one person stay in their order."""
    monkeypatch.setattr(import_work, "ROWS", 3)
    deaths = [1, 1]
    work = import_work.ImportWork.analyse

    async def dies(self: Any, number: int) -> bytes:  # noqa: ANN401 - the work
        outcome = await work(self, number)
        if deaths:
            deaths.pop()
            message = "killed after the fact"
            raise WorkerDied(message)
        return outcome

    monkeypatch.setattr(import_work.ImportWork, "analyse", dies)
    files = {f"p{number % 5}/{number}.png": photo(shot(f"p{number % 5}", number)) for number in range(20)}
    task = await imported(service, media, archive(**files))
    assert set(verdicts(task).values()) == {"enrolled"}
    assert deaths == []
    library = (await service.client.get("/v1/library/people")).json()
    assert (library["person_count"], library["face_count"]) == (5, 20)


async def test_a_library_that_goes_meanwhile(service: Replica, media: FileServer) -> None:
    """Of a library that is not there, or is deleted before its turn, the import is told so."""
    media.files["/list"] = archive(**{"anna/1.png": photo(shot("anna"))})
    missing = await service.post("/library/nowhere/import", media_url=f"{media.url}/list")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    another = await service.as_another()
    theirs = await another.post("/v1/library/people/import", json={"media_url": f"{media.url}/list"})
    assert (theirs.status_code, theirs.json()["error"]["code"]) == (403, "forbidden")
    await another.aclose()
    media.pause_s = 0.5
    made = await service.post("/library/people/import", media_url=f"{media.url}/list")
    await service.client.delete("/v1/library/people")
    task = await ended(service, made.json()["task_id"])
    assert (task["status"], task["error"]["code"]) == ("failed", "not_found")


async def test_the_erased_leave_verdicts_too(service: Replica, media: FileServer) -> None:
    """Somebody who is erased everywhere is no more in the verdicts of the import that enrolled them."""
    files = {"anna/1.png": photo(shot("anna")), "ben/1.png": photo(shot("ben"))}
    task = await imported(service, media, archive(**files))
    gone = await service.client.delete("/v1/library/people/person/anna?everywhere=true")
    assert gone.json()["mentions_erased"] == 1
    after = (await service.client.get(f"/v1/task/{task['task_id']}")).json()["result"]
    assert "anna" not in json.dumps(after)
    assert [row["person_id"] for row in after["rows"]] == [None, "ben"]


async def test_the_client_imports(service: Replica, media: FileServer) -> None:
    """The Python client queues an import and reads its verdicts, also page by page."""
    media.files["/list"] = archive(**{"anna/1.png": photo(shot("anna")), "none/1.png": photo()})
    async with AsyncClient(Connection("http://facefleet.test", KEY), http=service.client) as client:
        made = await client.libraries.import_people("people", f"{media.url}/list")
        task = await client.tasks.wait(made.task_id, 20)
        assert task.result is not None
        assert [(row.person_id, row.status) for row in task.result.rows] == [
            ("anna", "enrolled"),
            ("none", "refused"),
        ]
        assert (task.result.summary.rows, task.result.summary.enrolled) == (2, 1)
        page = await client.tasks.result_page(made.task_id)
        assert page.rows == task.result.rows


async def test_the_console_shows_an_import(service: Replica, media: FileServer) -> None:
    """The page of an import tells how many were enrolled and refused, and where."""
    files: dict[str, bytes | str] = {"anna/1.png": photo(shot("anna")), "none/1.png": photo()}
    task = await imported(service, media, archive(**files))
    await service.client.post("/login", data={"username": "admin", "password": "correct horse"})
    answer = await service.client.get(f"/tasks/{task['task_id']}")
    assert answer.status_code == 200
    card = answer.text.partition(">People<")[2].partition("</section>")[0]
    assert "Enrolled" in card
    assert 'href="/libraries/people"' in card
    listed = await service.client.get("/tasks", params={"type": "import"})
    assert task["task_id"] in listed.text
