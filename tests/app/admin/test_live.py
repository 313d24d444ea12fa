"""A real server on a real port: kills, crowds, and the snippets that its clients were written from."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import cv2
import httpx
import numpy as np
import pytest

from tests.app.admin.conftest import ADMIN, PAIRS, parts_of
from tests.app.admin.documented import CURL, JAVASCRIPT, PYTHON, URL
from tests.app.live import Server, live_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "the-key-of-this-test"
PASSWORD = "correct-horse"  # noqa: S105 - of a test
BASIC = ("admin", PASSWORD)
VARIABLES = {
    "FACE_API_BOOTSTRAP_KEY": KEY,
    "FACE_API_ADMIN_PASSWORD": PASSWORD,
    "FACE_API_DETECT_RATE_LIMIT": "off",
    "FACE_API_MASK_RATE_LIMIT": "off",
    "FACE_API_ADMIN_LOGIN_RATE_LIMIT": "off",
}
CROWD = 200

# One server of each pair for the whole module, not one for each process of the run.
pytestmark = pytest.mark.xdist_group("admin_live")

#: Examples that need tasks, libraries, or masked pictures that are pictures; both have tests of their own.
NOT_HERE = ("$TASK_ID", "$DELIVERY_ID", "$JOB_ID/thumbnail", "/libraries")


@pytest.fixture(scope="module", params=PAIRS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run one server on each pair for the tests that leave it well."""
    with live_server(tmp_path_factory.mktemp("home"), **variables_of(request)) as started:
        yield started


@pytest.fixture(params=PAIRS)
def variables(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the environment of a server that a test starts itself, on each pair."""
    return variables_of(request)


def variables_of(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the environment of a server on the pair that this test runs on."""
    parts = {f"FACE_API_{name.upper()}": value for name, value in parts_of(request).items()}
    return VARIABLES | parts


def test_what_was_answered_survives_a_kill(variables: dict[str, str], tmp_path: Path) -> None:
    """Every answer that a client has in hands when the server is killed is found again, with its picture."""
    answered: list[tuple[str, bytes]] = []

    def ask(server: Server, number: int) -> None:
        with httpx.Client(headers={"X-API-Key": KEY}, timeout=30, trust_env=False) as client:
            for turn in range(1000):
                data = f"picture {number} {turn} ".encode() * 500
                try:
                    answer = client.post(f"{server.url}/api/v1/detect", files={"image": data})
                except httpx.TransportError:
                    return
                answered.append((answer.json()["image_id"], data))
                if len(answered) == 40:
                    os.kill(server.process.pid, signal.SIGKILL)

    with live_server(tmp_path, **variables) as server:
        threads = [threading.Thread(target=ask, args=(server, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.process.wait(10) == -signal.SIGKILL
    assert len(answered) >= 40
    with live_server(tmp_path, **variables) as server, httpx.Client(auth=BASIC, trust_env=False) as client:
        for image_id, data in answered:
            shown = client.get(f"{server.url}{ADMIN}/images/{image_id}")
            assert shown.status_code == 200, "an acknowledged image is gone"
            assert httpx.get(shown.json()["original_url"], trust_env=False).content == data
        assert len(client.get(f"{server.url}{ADMIN}/jobs?per_page=100").json()["items"]) >= 40


def test_a_crowd(server: Server) -> None:
    """Two hundred clients at once, detecting, masking and listing: each of them is answered, and well."""
    seen: Counter[int] = Counter()

    def ask(number: int) -> None:
        with httpx.Client(base_url=server.url, timeout=120, trust_env=False) as client:
            for turn in range(3):
                picture = {"image": f"{number} {turn}".encode() * 100}
                path = "/api/v1/mask" if number % 3 == 0 else "/api/v1/detect"
                seen[client.post(path, headers={"X-API-Key": KEY}, files=picture).status_code] += 1
                if number % 10 == 0:
                    seen[client.get(f"{ADMIN}/jobs?page=2", auth=BASIC).status_code] += 1

    before = httpx.get(f"{server.url}{ADMIN}/stats", auth=BASIC, trust_env=False).json()["total_jobs"]
    with ThreadPoolExecutor(CROWD) as crowd:
        list(crowd.map(ask, range(CROWD)))
    assert set(seen) == {200}
    after = httpx.get(f"{server.url}{ADMIN}/stats", auth=BASIC, trust_env=False).json()["total_jobs"]
    assert after - before == 3 * CROWD


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


def ours(snippet: str, server: Server) -> str:
    """Return the snippet with this service's URL and password, and nothing else changed."""
    assert URL in snippet
    for published, here in (
        (URL, server.url),
        ("admin:password", f"admin:{PASSWORD}"),
        ('HTTPBasicAuth("admin", "password")', f'HTTPBasicAuth("admin", "{PASSWORD}")'),
        ('"secret"', f'"{PASSWORD}"'),
    ):
        snippet = snippet.replace(published, here)
    return snippet


def check(name: str, printed: str) -> None:
    """Hold what a snippet printed to what it is for."""
    if name == "session":
        plain = re.sub(r"['\"\s]", "", printed).lower()
        assert plain == "{authenticated:true,username:admin}"
    else:
        assert "204" in printed


def test_curl(server: Server, tmp_path: Path) -> None:
    """The lines for curl work in a shell, one after the other."""
    for name, snippet in CURL.items():
        check(name, run(["sh", "-c", ours(snippet, server)], tmp_path))


@pytest.mark.parametrize("name", PYTHON)
def test_python(server: Server, tmp_path: Path, name: str) -> None:
    """The Python snippets work with `requests`."""
    check(name, run([sys.executable, "-c", ours(PYTHON[name], server)], tmp_path))


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node, which is not installed")
@pytest.mark.parametrize("name", JAVASCRIPT)
def test_javascript(server: Server, tmp_path: Path, name: str) -> None:
    """The JavaScript snippets work with the language's own fetch."""
    (tmp_path / "snippet.mjs").write_text(ours(JAVASCRIPT[name], server))
    check(name, run(["node", "snippet.mjs"], tmp_path))


def test_the_examples_in_the_documentation_run(server: Server, tmp_path: Path) -> None:
    """The curl lines that /docs shows for the admin API work as they stand, in the order of a life."""
    (tmp_path / "photo.jpg").write_bytes(b"a picture")
    picture = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    masked = httpx.post(
        f"{server.url}/api/v1/mask", headers={"X-API-Key": KEY}, files={"image": picture}, trust_env=False
    )
    made = httpx.post(f"{server.url}{ADMIN}/api-keys", json={"name": "x"}, auth=BASIC, trust_env=False)
    paths = httpx.get(f"{server.url}/openapi.json", trust_env=False).json()["paths"]
    examples = [
        (method == "delete", path, described["description"].partition("For instance:")[2])
        for path, methods in paths.items()
        if path.startswith(ADMIN)
        for method, described in methods.items()
    ]
    environment = {
        **os.environ,
        "URL": server.url,
        "PASSWORD": PASSWORD,
        "IMAGE_ID": masked.headers["x-image-id"],
        "JOB_ID": masked.headers["x-job-id"],
        "KEY_ID": made.json()["id"],
    }
    assert len(examples) >= 18
    for _, path, script in sorted(examples):  # what removes comes last
        if any(name in script for name in NOT_HERE):
            continue
        done = subprocess.run(
            ["bash", "-euc", script.replace("curl", "curl --fail --silent --show-error")],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, (path, script, done.stderr)


def test_nothing_went_wrong_unseen(server: Server) -> None:
    """After all of the above the log holds request lines and nothing else: no bug, no key, no signature."""
    text = server.output.read_text()
    assert {line["event"] for line in server.lines()} == {"request"}
    for secret in (KEY, PASSWORD, "signature=", "facefleet_admin"):
        assert secret not in text
