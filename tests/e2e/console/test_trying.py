"""A picture is tried in the console: faces found, attributes told, faces hidden."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.e2e.console.conftest import Console


def test_faces_are_found_and_drawn(page: Page, group_photo_path: Path) -> None:
    """A chosen photo of six people shows six boxes where the faces are, and the call that gave them."""
    page.goto("/try")
    page.locator("#file").set_input_files(group_photo_path)
    expect(page.locator(".face")).to_have_count(6)
    expect(page.locator("[data-overlay] rect.box")).to_have_count(6)
    page.get_by_role("slider", name="Confidence").fill("0.9")
    page.get_by_role("tab", name="curl").click()
    call = page.locator("#curl")
    expect(call).to_contain_text('/api/v1/detect?confidence=0.9" -H "X-API-Key: $KEY" -F "image=@')
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#json")).to_contain_text('"confidence_threshold": 0.9')


def test_attributes_are_told(page: Page) -> None:
    """What is ticked is told of the face, from the sample as from any picture."""
    page.goto("/try")
    page.get_by_role("button", name="Use the sample").click()
    page.get_by_role("checkbox", name="age").check()
    page.get_by_role("checkbox", name="landmarks").check()
    face = page.locator(".face")
    expect(face).to_contain_text(re.compile(r"age\d+"))
    expect(page.locator("circle.mesh")).to_have_count(106)


def test_faces_are_hidden_behind_a_wipe(page: Page) -> None:
    """The masked picture lies over the original as far as the wipe says, and its size is the original's."""
    page.goto("/try")
    page.get_by_role("button", name="Hide faces").click()
    page.get_by_role("button", name="Use the sample").click()
    masked = page.get_by_role("img", name="The picture with its faces hidden")
    expect(masked).to_be_visible()
    wipe = page.get_by_role("slider", name="How much of the original is shown")
    wipe.fill("0")
    assert "inset(0px 0px 0px 0%)" in masked.evaluate("image => getComputedStyle(image).clipPath")
    assert masked.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [512, 512]
    first = masked.get_attribute("src")
    page.get_by_label("Method").select_option("solid")
    expect(masked).not_to_have_attribute("src", first or "")
    expect(page.get_by_role("link", name="Save the picture")).to_have_attribute("download", "hidden.jpg")


def test_what_is_no_picture_is_told(page: Page, tmp_path: Path) -> None:
    """The service's own words stand under the picture's place; the next picture goes through."""
    nothing = tmp_path / "photo.jpg"
    nothing.write_bytes(b"no picture at all")
    page.goto("/try")
    page.locator("#file").set_input_files(nothing)
    expect(page.get_by_role("alert").first).to_be_visible()
    page.get_by_text("Other picture").click()


def test_nothing_is_kept(page: Page, console: Console) -> None:
    """Trying leaves no image and no job behind."""
    with console.api() as api:
        before = api.get("/api/v1/admin/stats").json()
        page.goto("/try")
        page.get_by_role("button", name="Use the sample").click()
        expect(page.locator(".face")).to_have_count(1)
        assert api.get("/api/v1/admin/stats").json() == before
