"""Tasks in the console: watched to their end, played with boxes and lanes, cancelled, told of again."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.console.conftest import ADMIN
from tests.e2e.console.media import (
    PATIENCE_S,
    create,
    moving_face,
    send_video,
    until_over,
    upload_video,
)
from tests.fakes.receiver import Receiver, webhook_receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.e2e.console.conftest import Console

#: Where a player is, once it shows that frame.
MOMENT = "video => video.readyState > 1 && !video.seeking ? video.currentTime : 0"
MARKUP = "</code><img src=x onerror=alert(1)>"


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds that the page's own policy forbids the browser to watch for."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="session")
def video(portrait_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a video of four seconds."""
    return moving_face(portrait_path, tmp_path_factory.mktemp("video") / "faces.mp4")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run a client's server that hears webhooks."""
    with webhook_receiver() as running:
        yield running


def test_a_video_is_watched_played_and_told_of(
    page: Page, console: Console, video: Path, receiver: Receiver
) -> None:
    """Its end shows without a reload; boxes follow the frame, a lane seeks, the webhook is sent again."""
    with console.client() as client:
        task_id = send_video(client, video, callback_url=receiver.url, metadata={"order": MARKUP})
        page.goto(f"/tasks/{task_id}")
        expect(page.get_by_role("heading", name="Result")).to_be_visible(timeout=40_000)
        result = until_over(client, task_id)["result"]
    lanes = page.locator(".lane-bar")
    expect(lanes).to_have_count(len(result["face_tracks"]))
    assert result["summary"]["total_faces"] == 2
    player = page.locator("video")
    expect(page.locator("[data-overlay] rect.box")).to_have_count(1)
    lanes.last.focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-overlay] rect.box")).to_have_count(2)
    assert player.evaluate("video => video.currentTime") == pytest.approx(2.0, abs=0.2)
    expect(page.get_by_text(MARKUP)).to_be_visible()
    assert page.locator("img[src=x]").count() == 0
    receiver.wait_for(1)
    page.get_by_role("button", name="Send again").click()
    first, second = receiver.wait_for(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    expect(page.locator(".attempt")).to_have_count(2)


def test_a_masked_video_is_wiped_over_the_original(page: Page, console: Console, video: Path) -> None:
    """Both stand at the same moment, a lane seeks both, the wipe parts them, and the result can be saved."""
    with console.client() as client:
        url = upload_video(client, video)
        task_id = create(client, "mask", type="video", media_url=url, method="solid", padding=0.1)
        assert until_over(client, task_id)["status"] == "succeeded"
    page.goto(f"/tasks/{task_id}")
    page.evaluate("window.isTheSame = true")
    before, after = page.get_by_label("The video as it came"), page.get_by_label("The same with its faces")
    expect(before).to_be_visible()
    expect(after).to_be_visible()
    lanes = page.locator(".lane-bar")
    expect(lanes).to_have_count(2)
    lanes.last.focus()
    page.keyboard.press("Enter")
    until(lambda: 1.6 < before.evaluate(MOMENT) < 2.1)
    until(lambda: 1.6 < after.evaluate(MOMENT) < 2.1)
    darkest = """video => { const canvas = new OffscreenCanvas(64, 48).getContext("2d");
        canvas.drawImage(video, 0, 0, 64, 48); const {data} = canvas.getImageData(0, 0, 64, 48);
        return data.filter((value, at) => at % 4 === 1 && value < 12).length; }"""
    assert after.evaluate(darkest) > before.evaluate(darkest) + 200
    wipe = page.get_by_label("How much of the original is shown")
    wipe.focus()
    page.keyboard.press("Home")
    assert "inset(0px 0px 0px 0%)" in after.evaluate("video => getComputedStyle(video).clipPath")
    page.get_by_role("button", name="Play").click()
    until(lambda: before.evaluate(MOMENT) > 2.3)
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save").click()
    assert saving.value.suggested_filename.startswith(f"masked-{task_id}")
    # What is over is not loaded again under whoever watches it, though its webhooks are looked after.
    with page.expect_response(f"**/tasks/{task_id}"):
        pass
    page.wait_for_timeout(300)
    assert page.evaluate("window.isTheSame")
    with console.client() as client:
        assert client.delete(f"/v1/task/{task_id}").status_code < 300
    with console.api() as api:
        assert api.get(f"{ADMIN}/tasks/{task_id}/output").status_code == 404


def test_a_task_that_waits_is_cancelled_and_deleted(page: Page, console: Console) -> None:
    """A picture at a server that never answers is cancelled; a deleted task is in no list."""
    with silent_server() as url, console.client() as client:
        task_id = create(client, type="image", media_url=f"{url}/photo.jpg")
        page.goto(f"/tasks/{task_id}")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("cancelled").first).to_be_visible()
        assert until_over(client, task_id)["status"] == "cancelled"
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Delete the task").click()
        expect(page).to_have_url("/tasks")
        expect(page.locator(f'a[href="/tasks/{task_id}"]')).to_have_count(0)
        assert client.get(f"/v1/task/{task_id}").status_code == 404


def test_media_elsewhere_is_shown_from_a_copy(page: Page, console: Console, portrait_path: Path) -> None:
    """The service does not load a stranger's file again; the viewer's own copy stays in the browser."""
    with file_server(portrait_path.parent) as url, console.client() as client:
        task_id = create(client, type="image", media_url=f"{url}/{portrait_path.name}?signature=secret")
        assert until_over(client, task_id)["status"] == "succeeded"
    page.goto(f"/tasks/{task_id}")
    assert "secret" not in page.content()
    expect(page.get_by_text("The media lies elsewhere")).to_be_visible()
    page.locator("#copy").set_input_files(portrait_path)
    expect(page.locator("[data-overlay] rect.box")).to_have_count(1)


@contextmanager
def silent_server() -> Iterator[str]:
    """Listen, and never say a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """Serve a folder's files."""
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and writes no line about it."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Keep quiet."""
