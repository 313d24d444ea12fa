"""Each page in both themes and on a phone: nothing that keeps people out, nothing that sticks out, pictures.

The pictures are written to `tests/output/console`, to be looked at.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, NamedTuple

import pytest
from playwright.sync_api import expect

from tests.e2e.console.conftest import ADMIN, OUTPUT, log_in_quietly, new_library, serious_problems
from tests.e2e.console.media import create, moving_face, send_video, until_over, upload_video

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page, ViewportSize

    from tests.e2e.console.conftest import Console

#: Waits for every picture in sight.
PICTURES = """Promise.all([...document.images].filter(image => image.src && image.checkVisibility()
    && image.getBoundingClientRect().top < innerHeight).map(image => image.decode().catch(() => 0)))"""
#: Lines of the time that has most of them.
LINES = """Math.max(0, ...[...document.querySelectorAll('td time, th time')]
    .map(time => time.getClientRects().length))"""
DESK: ViewportSize = {"width": 1360, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 800}


class Place(NamedTuple):
    """A page, what is done there before it is looked at, and what shows that it is ready."""

    path: str
    click: str = ""
    ready: str = "main h1"


@pytest.fixture(scope="module")
def places(
    console: Console, group_photo_path: Path, portrait_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Place]:
    """Fill the service with a little of everything, and name its pages."""
    video = moving_face(portrait_path, tmp_path_factory.mktemp("video") / "faces.mp4")
    with console.client() as client, console.api() as api:
        for number, path in enumerate([group_photo_path, portrait_path] * 3):
            photo = {"image": (path.name, path.read_bytes())}
            client.post(
                "/api/v1/mask", params={"method": ("gaussian", "elliptical")[number % 2]}, files=photo
            )
            found = client.post("/api/v1/detect", params={"attributes": "age,emotion"}, files=photo).json()
        masked = api.get(f"{ADMIN}/jobs", params={"job_type": "mask"}).json()["items"][0]["id"]
        key = api.post(f"{ADMIN}/api-keys", json={"name": "Photo booth, Lisbon", "plan": "starter"}).json()
        new_library(console, "staff", name="Front desk")
        reference = f"data:image/png;base64,{base64.b64encode(portrait_path.read_bytes()).decode()}"
        enrolled = {"person_id": "p_eileen", "name": "Eileen", "image_url": reference}
        assert client.post("/v1/library/staff/face", json=enrolled).status_code == 200
        broken = create(client, type="image", media_url="http://127.0.0.1:9/none.jpg")
        hidden = create(client, "mask", type="video", media_url=upload_video(client, video))
        task = send_video(client, video, metadata={"order": "121233"})
        assert until_over(client, task)["status"] == "succeeded"
        assert until_over(client, hidden)["status"] == "succeeded"
    return {
        "login": Place("/login", ready="input[name=password]"),
        "overview": Place("/"),
        "overview-week": Place("/?window=week"),
        "try-start": Place("/try"),
        "try-detect": Place("/try", "[data-sample]", ".face"),
        "try-mask": Place("/try", "[value=mask], [data-sample]", "[data-masked]:not([hidden])"),
        "images": Place("/images"),
        "image": Place(f"/images/{found['image_id']}", ready=".face"),
        "jobs": Place("/jobs"),
        "job-mask": Place(f"/jobs/{masked}", ready=".face"),
        "tasks": Place("/tasks"),
        "task": Place(f"/tasks/{task}", ready=".lane"),
        "task-masked": Place(f"/tasks/{hidden}", ready=".wipe-line"),
        "task-failed": Place(f"/tasks/{broken}"),
        "keys": Place("/keys"),
        "keys-new": Place("/keys", "[data-opens=new-key]", "dialog[open]"),
        "key": Place(f"/keys/{key['id']}"),
        "libraries": Place("/libraries"),
        "library": Place("/libraries/staff"),
        "person": Place("/libraries/staff/people/p_eileen"),
        "system": Place("/system"),
        "audit": Place("/audit"),
        "empty": Place("/jobs?method=solid", ready=".empty"),
        "error": Place("/keys/none", ready=".empty"),
    }


def go(page: Page, place: Place) -> None:
    """Open a page, and do what is to be done there."""
    page.goto(place.path)
    for selector in filter(None, place.click.split(", ")):
        page.locator(selector).first.click()
    page.locator(place.ready).first.wait_for()
    page.evaluate(PICTURES)


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_pages_are_open_to_everybody(
    browser: Browser, console: Console, places: dict[str, Place], look: str
) -> None:
    """axe-core finds nothing serious on any page, no page is wider than its window, and each is pictured."""
    context = browser.new_context(
        base_url=console.url,
        viewport=PHONE if look == "phone" else DESK,
        color_scheme="dark" if look == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    folder = OUTPUT / look
    folder.mkdir(parents=True, exist_ok=True)
    problems = {}
    for name, place in places.items():
        if name == "overview":
            log_in_quietly(page, console)
        go(page, place)
        page.screenshot(path=folder / f"{name}.png", full_page=True)
        # A phone shows the same colours and names.
        found = [] if look == "phone" else serious_problems(page)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append("wider than the window")
        if page.evaluate(LINES) > 2:
            found.append("a time in more than two lines")
        if found:
            problems[name] = found
    context.close()
    assert problems == {}


def test_the_menu_of_a_phone(browser: Browser, console: Console) -> None:
    """It opens, leads on, and Escape closes it."""
    context = browser.new_context(base_url=console.url, viewport=PHONE)
    page = context.new_page()
    log_in_quietly(page, console)
    page.goto("/keys")
    menu = page.get_by_role("button", name="Menu")
    menu.click()
    (OUTPUT / "phone").mkdir(parents=True, exist_ok=True)
    page.screenshot(path=OUTPUT / "phone" / "menu.png")
    page.keyboard.press("Escape")
    expect(menu).to_have_attribute("aria-expanded", "false")
    menu.click()
    page.get_by_role("link", name="System").click()
    expect(page).to_have_url("/system")
    context.close()


def test_a_chosen_theme_stays(page: Page) -> None:
    """It holds on the next page, and from its first moment on."""
    page.goto("/keys")
    page.get_by_role("button", name="Dark").click()
    page.goto("/system")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
