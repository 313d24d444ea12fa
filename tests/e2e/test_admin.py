"""The admin API of the whole service, behind its own proxy and over two replicas."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from app.admin.access import COOKIE
from cluster.trial import run_facefleet, trial_service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cluster.trial import Trial
    from tests.e2e.conftest import Post

ADMIN = "/api/v1/admin"
#: Replicas must agree; asked this often, each of them has answered.
OFTEN = 12


@pytest.fixture
def admin(service: Trial) -> Iterator[httpx.Client]:
    """Give a client with the administrator's name and password."""
    with httpx.Client(
        base_url=service.url, auth=("admin", service.admin_password), timeout=60, trust_env=False
    ) as made:
        yield made


def test_what_was_detected_is_shown(admin: httpx.Client, detect: Post, portrait_path: Path) -> None:
    """Image and job are found by the identifiers of the answer, on every replica, and removed for good."""
    picture = portrait_path.read_bytes()
    answer = detect(picture).json()
    for _ in range(OFTEN):
        job = admin.get(f"{ADMIN}/jobs/{answer['job_id']}").json()
        assert job["payload"]["detections"] == answer["detections"]
    image = admin.get(f"{ADMIN}/images/{answer['image_id']}").json()
    assert httpx.get(image["original_url"], trust_env=False).content == picture
    assert admin.delete(f"{ADMIN}/images/{answer['image_id']}").status_code == 204
    for _ in range(OFTEN):
        assert admin.get(f"{ADMIN}/images/{answer['image_id']}").status_code == 404
    assert httpx.get(image["original_url"], trust_env=False).status_code == 404


def test_a_mask_is_downloaded(admin: httpx.Client, client: httpx.Client, portrait_path: Path) -> None:
    """The download of a mask's job leads to the very bytes of the answer."""
    masked = client.post("/api/v1/mask?format=webp", files={"image": portrait_path.read_bytes()})
    download = admin.get(f"{ADMIN}/jobs/{masked.headers['x-job-id']}/download", follow_redirects=True)
    assert download.content == masked.content
    assert download.headers["content-type"] == "image/webp"


def test_a_session_is_known_to_every_replica(service: Trial) -> None:
    """A login holds on every replica, and so does the logout."""
    with httpx.Client(base_url=service.url, trust_env=False, timeout=60) as browser:
        who = {"username": "admin", "password": service.admin_password}
        assert browser.post(f"{ADMIN}/auth/login", json=who).status_code == 204
        cookie = {"Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
        for _ in range(OFTEN):
            assert browser.get(f"{ADMIN}/auth/session").json() == {"authenticated": True, "username": "admin"}
        assert browser.post(f"{ADMIN}/auth/logout").status_code == 204
        for _ in range(OFTEN):
            assert browser.get(f"{ADMIN}/auth/session", headers=cookie).status_code == 401


def test_a_key_lives_and_ends(admin: httpx.Client, service: Trial, portrait_path: Path) -> None:
    """A new key opens every replica at once; turned off, it stops on all of them within five seconds."""
    made = admin.post(f"{ADMIN}/api-keys", json={"name": "of a test"}).json()
    picture = {"image": portrait_path.read_bytes()}

    def knock() -> set[int]:
        with httpx.Client(
            base_url=service.url, headers={"X-API-Key": made["key"]}, trust_env=False, timeout=60
        ) as client:
            return {client.post("/api/v1/detect", files=picture).status_code for _ in range(OFTEN)}

    assert knock() == {200}
    admin.patch(f"{ADMIN}/api-keys/{made['id']}", json={"is_active": False})
    time.sleep(5)
    assert knock() == {401}


def test_the_preview_shows_a_picture(admin: httpx.Client, portrait_path: Path) -> None:
    """The preview's picture is one, and tells how many faces it hides."""
    answer = admin.post(f"{ADMIN}/test/mask?format=png", files={"image": portrait_path.read_bytes()}).json()
    assert answer["masking"]["regions_masked"] == 1
    assert base64.b64decode(answer["output"]["image_base64"]).startswith(b"\x89PNG")


def test_the_client_counts_by_its_own_address(service: Trial) -> None:
    """What a client says of its address is not believed: its guesses are counted all the same."""
    statuses = [
        httpx.post(
            f"{service.url}{ADMIN}/auth/login",
            json={"username": f"nobody {number}", "password": "x"},
            headers={"X-Facefleet-Client": f"192.0.2.{number}", "X-Forwarded-For": f"192.0.2.{number}"},
            trust_env=False,
        ).status_code
        for number in range(12)
    ]
    assert statuses[-1] == 429


def test_the_first_start_makes_key_and_password(weights_folder: Path, portrait_path: Path) -> None:
    """Both are printed at the first start and never again; they work, and limits are as published."""
    variables = {
        "FACE_API_BOOTSTRAP_KEY": "",
        "FACE_API_ADMIN_PASSWORD": "",
        "FACE_API_DETECT_RATE_LIMIT": "",
    }
    with trial_service(variables=variables, weights=weights_folder) as service:
        lines = dict(line.split(": ", 1) for line in service.greeting.splitlines() if ": " in line)
        key, password = lines["Key"], lines["Admin password"]
        answer = httpx.post(
            f"{service.url}/api/v1/detect",
            headers={"X-API-Key": key},
            files={"image": portrait_path.read_bytes()},
            trust_env=False,
            timeout=60,
        )
        assert (answer.status_code, answer.headers["x-ratelimit-limit"]) == (200, "300")
        session = httpx.get(
            f"{service.url}{ADMIN}/auth/session", auth=("admin", password), trust_env=False, timeout=60
        )
        assert session.status_code == 200
        again = run_facefleet(("up", "--config", str(service.home / "serve_config.yaml")), service.variables)
        assert again.returncode == 0
        assert key not in again.stdout
        assert password not in again.stdout
        kept = [path for path in service.home.rglob("*") if path.is_file() and not path.is_symlink()]
        assert not [path for path in kept if key.encode() in path.read_bytes()]
