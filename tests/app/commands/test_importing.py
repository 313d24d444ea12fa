"""`facefleet library import` against a service that enrols: what it prints, and what it ends with."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.app.commands.test_commands import Line, Ran
from tests.app.libraries.conftest import KEY
from tests.app.libraries.speaking_pictures import photo, portrait, shot
from tests.app.tasks.running_service import running_service
from tests.fakes.file_server import serve_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Run a service with an empty library, and return a command line that leads to it."""
    home = tmp_path_factory.mktemp("home")
    with running_service(home, "tests.app.commands.library_service") as service:
        made = Line(service.url, KEY)
        assert made("library", "create", "staff").code == 0
        yield made


def archive(path: Path, **files: bytes) -> Path:
    """Write a ZIP, where two underscores stand for the folder's end."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        for name, data in files.items():
            zipped.writestr(name.replace("__", "/") + ".png", data)
    path.write_bytes(out.getvalue())
    return path


def lines(ran: Ran) -> list[dict[str, Any]]:
    """Return what a command printed for programs."""
    return [json.loads(line) for line in ran.out.splitlines()]


def test_everybody_in_a_list(line: Line, tmp_path: Path) -> None:
    """A ZIP is sent and waited for, each picture has its verdict, and who was enrolled is found."""
    good = archive(tmp_path / "good.zip", ann__1=photo(shot("ann")), ben__1=photo(shot("ben")))
    shown = line("library", "import", "staff", good)
    assert shown.code == 0, shown
    assert [line.split() for line in shown.out.splitlines()[1:3]] == [
        ["1", "ann", "ann/1.png", "enrolled", "-"],
        ["2", "ben", "ben/1.png", "enrolled", "-"],
    ]
    assert shown.out.splitlines()[-1].endswith("succeeded, 2 enrolled, 0 refused")
    assert "\x1b" not in shown.out + shown.err
    (tmp_path / "who.png").write_bytes(photo(shot("ben", 7)))
    found = line("library", "search", "staff", tmp_path / "who.png", "--json")
    assert [match["person_id"] for match in found.json()["faces"][0]["matches"]] == ["ben"]


def test_some_are_refused(line: Line, tmp_path: Path) -> None:
    """Scripts see by the exit code that some were refused, and read for each row why."""
    mixed = archive(tmp_path / "mixed.zip", ann__1=photo(shot("ann")), none__1=photo())
    ran = line("library", "import", "staff", mixed, "--json")
    assert ran.code == 8, ran
    enrolled, refused, ended = lines(ran)
    assert (enrolled["person_id"], enrolled["status"]) == ("ann", "enrolled")
    assert (refused["person_id"], refused["status"], refused["code"]) == (
        "none",
        "refused",
        "no_faces_detected",
    )
    assert ended["summary"] == {"rows": 2, "enrolled": 1, "refused": 1}
    assert ended["task_id"] in ran.err
    fewer = line("library", "import", "staff", mixed, "--json", "--refused-only")
    assert [each["person_id"] for each in lines(fewer)[:-1]] == ["none"]


def test_not_waited_for(line: Line) -> None:
    """Who does not wait is told the task, which can be followed later; the same key is the same import."""
    with serve_files() as media:
        media.files["/people.csv"] = f"person_id,image_url\nann,{portrait('ann')}\n".encode()
        url = f"{media.url}/people.csv"
        asked = ("library", "import", "staff", url, "--no-wait", "--idempotency-key", "monday")
        first, again = line(*asked, "--json"), line(*asked)
        assert (first.code, again.code) == (0, 0), again
        assert again.out.strip() == first.json()["task_id"]
        assert line("task", "watch", first.json()["task_id"], "--timeout", 20).code == 0


def test_what_cannot_be_imported(line: Line, tmp_path: Path) -> None:
    """A file that is none, a library that is none and a file that is no list each end with their code."""
    assert line("library", "import", "staff", tmp_path / "no-such.zip").code == 5
    text = tmp_path / "text.csv"
    text.write_text("I am no list")
    assert line("library", "import", "nobody", text).code == 5
    ran = line("library", "import", "staff", text)
    assert (ran.code, "invalid_media" in ran.out) == (1, True), ran
    told = lines(line("library", "import", "staff", text, "--json"))
    assert (told[-1]["status"], told[-1]["error"]["code"]) == ("failed", "invalid_media")
