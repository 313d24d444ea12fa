"""Libraries in the console: people enrolled by photos, each with its verdict, found by others, and erased."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.e2e.console.conftest import follow, new_library

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.e2e.console.conftest import Console

MARKUP = "<img src=x onerror=alert(1)>"


def test_people_are_enrolled_found_and_erased(
    page: Page, console: Console, portrait_path: Path, group_photo_path: Path, cat_path: Path
) -> None:
    """Of three dropped photos one is taken and two are refused; the person is found, and gone."""
    new_library(console, "crew", name=MARKUP)
    page.goto("/libraries")
    follow(page, page.get_by_role("link", name=MARKUP))
    page.locator("[data-files]").set_input_files([portrait_path, group_photo_path, cat_path])
    verdicts = page.locator(".verdict")
    expect(verdicts.filter(has_text="enrolled")).to_have_count(1)
    expect(verdicts.filter(has_text="refused")).to_have_count(2)
    expect(verdicts.filter(has_text="group.jpg")).to_contain_text("cannot be used as a reference")
    expect(page.get_by_role("link", name="portrait")).to_be_visible()
    page.locator("[data-search-file]").set_input_files(portrait_path)
    expect(page.locator("[data-matches] .face")).to_contain_text("portrait")
    expect(page.locator("[data-search-overlay] rect.box")).to_have_count(1)
    follow(page, page.get_by_role("link", name="portrait"))
    expect(page.get_by_text("quality")).to_be_visible()
    page.get_by_role("button", name="Forget this face").click()
    expect(page.get_by_text("None: nobody is found")).to_be_visible()
    page.get_by_role("button", name="Erase").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Erase").click()
    expect(page.get_by_text("Nobody yet.")).to_be_visible()
    page.locator("[data-search-file]").set_input_files(portrait_path)
    expect(page.locator("[data-matches] .face")).to_contain_text("Nobody in this library.")
    assert page.locator("img[src=x]").count() == 0


def test_people_are_named_where_a_picture_is_tried(page: Page, console: Console, portrait_path: Path) -> None:
    """With a library chosen, the box and the words of a known face bear the name."""
    new_library(console, "cosmonauts")
    reference = f"data:image/png;base64,{base64.b64encode(portrait_path.read_bytes()).decode()}"
    with console.client() as client:
        enrolled = {"person_id": "p_1", "name": "Eileen", "image_url": reference}
        assert client.post("/v1/library/cosmonauts/face", json=enrolled).status_code == 200
    page.goto("/try")
    page.get_by_role("button", name="Use the sample").click()
    page.get_by_label("Who is it?").select_option("cosmonauts")
    expect(page.locator(".face")).to_contain_text("Eileen")
    expect(page.locator("[data-overlay] text")).to_have_text("Eileen")
    page.get_by_role("tab", name="curl").click()
    expect(page.locator("#curl")).not_to_contain_text("library")
    expect(page.locator("#json")).not_to_contain_text("Eileen")


def test_a_library_is_made_and_deleted(page: Page) -> None:
    """In the list at once; after a confirmation gone."""
    page.goto("/libraries")
    page.get_by_role("button", name="New library").first.click()
    making = page.get_by_role("dialog", name="New library")
    making.get_by_label("Identifier").fill("short-lived")
    making.get_by_role("button", name="Make it").click()
    follow(page, page.get_by_role("link", name="short-lived"))
    page.get_by_role("button", name="Delete").first.click()
    page.get_by_label("Take them out of stored results as well").check()
    with page.expect_request(lambda request: request.method == "DELETE") as sent:
        page.get_by_role("button", name="Delete the library").click()
    assert sent.value.url.endswith("/libraries/short-lived?everywhere=true")
    expect(page).to_have_url("/libraries")
    expect(page.get_by_role("link", name="short-lived")).to_have_count(0)
