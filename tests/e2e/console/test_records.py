"""Images, jobs and the overview: what clients sent shows, is filtered, and is deleted for good."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.console.conftest import ADMIN, follow

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.e2e.console.conftest import Console


@pytest.fixture
def image_id(console: Console, group_photo_path: Path) -> str:
    """Send a photo of six people to be searched and to be masked; return the detection's image."""
    photo = {"image": ("photo.jpg", group_photo_path.read_bytes())}
    with console.client() as client:
        client.post("/api/v1/mask", params={"method": "pixelate"}, files=photo)
        answer = client.post("/api/v1/detect", files=photo).json()
    found: str = answer["image_id"]
    return found


def test_an_image_is_looked_at_and_deleted(page: Page, console: Console, image_id: str) -> None:
    """From the list to the picture with its boxes; after a confirmation it is gone, here and in the API."""
    page.goto("/images")
    first = page.locator(".tile").first
    thumbnail = first.locator("img")
    expect(thumbnail).to_be_visible()
    assert thumbnail.evaluate("image => image.decode().then(() => image.naturalWidth)") == 400
    follow(page, first.get_by_role("link"))
    expect(page).to_have_url(f"/images/{image_id}")
    expect(page.locator("[data-overlay] rect.box")).to_have_count(6)
    expect(page.locator(".face")).to_have_count(6)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete the image").click()
    expect(page).to_have_url("/images")
    with console.api() as api:
        assert api.get(f"{ADMIN}/images/{image_id}").status_code == 404
    page.go_back()
    page.reload()
    expect(page.get_by_role("heading", name="Not here")).to_be_visible()


def test_jobs_are_filtered_and_the_back_button_works(page: Page, image_id: str) -> None:
    """A filter changes the address; a mask shows behind its wipe; back and back are the lists before."""
    assert image_id
    page.goto("/jobs")
    page.get_by_label("Method").select_option("pixelate")
    expect(page).to_have_url("/jobs?method=pixelate")
    expect(page.locator("tbody tr").filter(has_text="detect")).to_have_count(0)
    page.locator("tbody a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Mask")
    expect(page.get_by_role("img", name="The same with its faces hidden")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Method")).to_have_value("pixelate")
    page.go_back()
    expect(page.get_by_label("Method")).to_have_value("")


def test_times_are_the_viewers(page: Page, image_id: str) -> None:
    """Times are shown in the browser's zone, and their machine-readable form stays UTC."""
    page.goto(f"/images/{image_id}")
    shown = page.locator("main time").first
    expect(shown).not_to_contain_text("UTC")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown.get_attribute("datetime") or "")


def test_the_overview_counts_what_came(page: Page, console: Console, image_id: str) -> None:
    """Requests, faces and errors show within seconds, without a reload, and the arrow keys read them."""
    assert image_id
    page.goto("/")
    with console.client() as client:
        assert client.post("/api/v1/detect", files={"image": ("x", b"none")}).status_code == 415
    errors = page.get_by_role("region", name="Errors")
    expect(errors).to_contain_text(re.compile(r"[1-9]\d* refused"), timeout=20_000)
    plot = page.get_by_role("group", name="Requests over the last hour")
    plot.focus()
    page.keyboard.press("ArrowLeft")
    expect(plot.locator(".tip")).to_contain_text("detect")
    page.get_by_role("link", name="Week").click()
    expect(page).to_have_url("/?window=week")


def test_the_system_tells_no_secret(page: Page) -> None:
    """Settings in force are listed; of secrets only that they are set."""
    page.goto("/system")
    row = page.get_by_role("row").filter(has_text="FACE_API_ADMIN_PASSWORD")
    expect(row).to_contain_text("set")
    for secret in ("correct horse", "the-key-of-this-test", "whsec_"):
        assert secret not in page.content()
    page.goto("/audit")
    expect(page.get_by_text("session.login").first).to_be_visible()
