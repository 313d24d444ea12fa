"""The snippets that door one's clients were written from run, with another URL and key."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.documented import CURL, JAVASCRIPT, KEY, PYTHON, URL

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.trial import Trial

#: What a page has and Node has not: the chosen file, and a console that shows all of an object.
CHOSEN_FILE = """\
import util from "node:util";
util.inspect.defaultOptions.depth = 9;
import { readFileSync } from "node:fs";
import { File } from "node:buffer";
const fileInput = { files: [new File([readFileSync("photo.jpg")], "photo.jpg", { type: "image/jpeg" })] };
"""
#: What the snippet leaves the reader to do.
WITH_THE_BLOB = "\nconsole.log(JSON.stringify({ type: blob.type, size: blob.size }));\n"


def run(command: list[str], folder: Path) -> str:
    """Run a program as a reader of the documentation would, and return what it prints."""
    ran = subprocess.run(
        command,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def folder(tmp_path: Path, group_photo_path: Path) -> Path:
    """Give a folder with the reader's photo in it."""
    shutil.copy(group_photo_path, tmp_path / "photo.jpg")
    return tmp_path


def ours(snippet: str, service: Trial) -> str:
    """Return the snippet with this service's URL and key, and nothing else changed."""
    assert URL in snippet
    return snippet.replace(URL, service.url).replace(KEY, service.key)


def check(name: str, printed: str, folder: Path) -> None:
    """Hold what a snippet printed and wrote to what it is for."""
    if name == "health":
        plain = printed.translate(str.maketrans("", "", "'\" ")).lower()
        assert "status:ok" in plain
        assert "model_loaded:true" in plain
        assert "supports_landmarks:true" in plain
    elif name == "detect":
        assert "request_id" in printed
        assert "face_count" in printed
        assert "left_eye" in printed
    elif name == "count":
        assert printed.strip() == "6"
    else:
        assert (folder / "masked.webp").read_bytes()[8:12] == b"WEBP"


@pytest.mark.parametrize("name", PYTHON)
def test_python(service: Trial, folder: Path, name: str) -> None:
    """The Python snippets work with `requests`."""
    (folder / "snippet.py").write_text(ours(PYTHON[name], service))
    check(name, run([sys.executable, "snippet.py"], folder), folder)


@pytest.mark.parametrize("name", CURL)
def test_curl(service: Trial, folder: Path, name: str) -> None:
    """The lines for curl work in a shell."""
    (folder / "snippet.sh").write_text(ours(CURL[name], service))
    printed = run(["sh", "snippet.sh"], folder)
    check(name, printed, folder)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node, which is not installed")
@pytest.mark.parametrize("name", JAVASCRIPT)
def test_javascript(service: Trial, folder: Path, name: str) -> None:
    """The JavaScript snippets work with the fetch, FormData and File of the language."""
    snippet = ours(JAVASCRIPT[name], service)
    program = CHOSEN_FILE + snippet + (WITH_THE_BLOB if "blob" in snippet else "")
    (folder / "snippet.mjs").write_text(program)
    printed = run(["node", "snippet.mjs"], folder)
    if "blob" in snippet:
        blob = json.loads(printed)
        assert blob["type"] == ("image/webp" if "webp" in snippet else "image/jpeg")
        assert blob["size"] > 10_000
    else:
        check(name, printed, folder)
