"""The commands that speak to a service: what they print, and the exit codes that scripts trust."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from typer.testing import CliRunner

from app.client import Client, Connection
from cluster.cli import COMMANDS, app
from tests.app.tasks.running_service import KEY, running_service
from tests.pictures import PORTRAIT, picture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return what it printed."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Line:
    """A command line with the environment that it needs."""

    url: str
    key: str = KEY
    password: str = "correct horse"  # noqa: S105 - a test's

    def __call__(self, *arguments: object) -> Ran:
        """Run a command."""
        environment = {
            "FACEFLEET_URL": self.url,
            "FACEFLEET_KEY": self.key,
            "FACEFLEET_ADMIN_PASSWORD": self.password,
        }
        ended = CliRunner().invoke(app, [str(each) for each in arguments], env=environment)
        return Ran(ended.exit_code, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Run the service and return a command line that leads to it."""
    with running_service(tmp_path_factory.mktemp("home")) as service:
        yield Line(service.url)


def test_detect_and_mask(line: Line, tmp_path: Path) -> None:
    """Faces are printed as a table or as JSON; masked pictures are written whole."""
    shown = line("detect", picture(PORTRAIT))
    assert (shown.code, "2 faces" in shown.out, "\x1b" in shown.out) == (0, True, False)
    found = line("detect", picture(PORTRAIT), "--json", "--max-faces", "5").json()
    assert found["result"]["summary"]["face_count"] == 2
    out = tmp_path / "masked.jpg"
    assert line("mask", picture(PORTRAIT), "--out", out, "--method", "solid").code == 0
    assert out.read_bytes() == picture(PORTRAIT).read_bytes()[::-1]
    assert [each.name for each in tmp_path.iterdir()] == ["masked.jpg"]


def test_tasks(line: Line, tmp_path: Path) -> None:
    """A file becomes a task that is followed, listed, read and removed."""
    made = line("task", "create", picture(PORTRAIT), "--metadata", '{"order": 1}', "--json").json()
    followed = line("task", "watch", made["task_id"], "--timeout", "20")
    assert (followed.code, "succeeded, 2 faces" in followed.out) == (0, True)
    out = tmp_path / "frames.jsonl"
    assert line("task", "result", made["task_id"], "--out", out).code == 0
    assert len(json.loads(out.read_text())["faces"]) == 2
    assert made["task_id"] in line("task", "list").out
    assert line("task", "cancel", made["task_id"]).code == 1
    assert line("task", "delete", made["task_id"]).code == 0
    assert line("task", "watch", made["task_id"]).code == 5


def test_a_task_that_fails(line: Line, tmp_path: Path) -> None:
    """A script sees by the exit code that a task did not succeed, and reads why."""
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    ended = line("task", "create", text, "--wait")
    assert (ended.code, "invalid_media" in ended.out) == (1, True)


def test_keys(line: Line) -> None:
    """Keys are made, turned off and removed by the administrator."""
    made = line("keys", "create", "of a test", "--plan", "free", "--json").json()
    assert line("keys", "change", made["id"], "--off").out.endswith("off, free\n")
    listed = line("keys", "list").out
    assert made["key_preview"] in listed
    assert made["key"] not in listed
    assert line("keys", "delete", made["id"]).code == 0
    assert line("keys", "delete", made["id"]).code == 5
    assert Line(line.url, password="wrong")("keys", "list").code == 4  # noqa: S106 - a test's
    assert Line(line.url, password="")("keys", "list").code == 2


def test_status(line: Line) -> None:
    """Health and tasks by state; a key that is wrong does not hide that the service is well."""
    told = line("status", "--json").json()
    assert told["health"]["status"] == "ok"
    assert set(told["tasks"]) == {"queued", "running", "succeeded", "failed", "cancelled"}
    assert line("status").code == 0
    assert Line(line.url, key="wrong")("status", "--json").json()["tasks"] is None


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["detect", "no-such.jpg"], 5),
        (["detect"], 2),
        (["task", "watch", "task_00000000000000000000000000000000"], 5),
        (["task", "create", "film.xyz"], 2),
        (["task", "create", "x.mp4", "--metadata", "[]"], 2),
        (["library", "list", "--no-such-option"], 2),
        (["nonsense"], 2),
    ],
)
def test_exit_codes(line: Line, arguments: list[str], code: int) -> None:
    """Each kind of failure has its code, and is told on stderr alone."""
    ended = line(*arguments)
    assert (ended.code, bool(ended.err)) == (code, True), ended
    assert "Traceback" not in ended.err


def test_a_service_that_is_not_there_and_a_wrong_key(line: Line) -> None:
    """Nobody there is 6, a key that opens nothing is 4, a picture that is none is 7."""
    away = Line("http://127.0.0.1:9")
    code = away("status").code
    assert code == 6
    assert Line(line.url, key="wrong")("detect", picture(PORTRAIT)).code == 4
    assert line("mask", __file__, "--out", "never.jpg", "--method", "nonsense").code == 7


def test_completion_and_help(line: Line) -> None:
    """Every command of the table can be imported and explains itself."""
    assert "_FACEFLEET_COMPLETE" in line("completion", "bash").out
    for name in COMMANDS:
        assert line(name, "--help").code == 0


LIBRARY = {"library_id": "staff", "name": "Staff"}
ANSWERS = {
    ("POST", "/v1/library"): LIBRARY,
    ("GET", "/v1/libraries"): {"request_id": "r", "libraries": [LIBRARY], "next_cursor": None},
    ("GET", "/v1/library/a%2Fb"): {"library_id": "a/b"},
    ("PATCH", "/v1/library/staff"): LIBRARY,
    ("POST", "/v1/library/staff/face"): {"request_id": "r", "face_id": "face_1", "person_id": "p_1"},
    ("GET", "/v1/library/staff/persons"): {"persons": [{"person_id": "p_1"}], "next_cursor": None},
    ("GET", "/v1/library/staff/person/p_1"): {"person_id": "p_1", "faces": [{"face_id": "face_1"}]},
    ("POST", "/v1/library/staff/search"): {
        "faces": [{"bbox": [1, 2, 3, 4], "matches": [{"person_id": "p_1", "score": 0.9}]}]
    },
    ("POST", "/v1/compare"): {"score": 0.914, "is_same_person": True, "threshold": 0.70, "request_id": "r"},
}


def test_libraries_as_they_are_published() -> None:
    """What the documentation says of libraries is what the client sends and reads."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().partition("?")[0]
        asked.append((path, json.loads(request.content or b"{}")))
        return httpx.Response(200, json=ANSWERS[request.method, path])

    http = httpx.Client(transport=httpx.MockTransport(answer))
    with Client(Connection("http://faces.test", "k"), http=http) as client:
        libraries = client.libraries
        assert libraries.create("staff", "Staff").library_id == "staff"
        assert [each.library_id for each in libraries.list().libraries] == ["staff"]
        assert libraries.get("a/b").library_id == "a/b"
        assert libraries.change("staff", name="Staff").name == "Staff"
        made = libraries.enroll("staff", "p_1", "https://x/y.jpg", name="Ann", metadata={"team": "a"})
        assert made.face_id == "face_1"
        assert libraries.persons("staff").persons[0].person_id == "p_1"
        assert libraries.person("staff", "p_1").faces[0].face_id == "face_1"
        assert libraries.search("staff", "https://x/y.jpg", top_k=3).faces[0].matches[0].score == 0.9
        assert client.compare("https://x/a.jpg", "https://x/b.jpg").is_same_person
    assert asked[4][1] == {
        "person_id": "p_1",
        "name": "Ann",
        "image_url": "https://x/y.jpg",
        "metadata": {"team": "a"},
    }
    assert asked[-1][1] == {"source_image_url": "https://x/a.jpg", "target_image_url": "https://x/b.jpg"}
