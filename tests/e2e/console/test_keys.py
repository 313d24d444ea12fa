"""Keys in the console: made, used, renamed, turned off, their secrets changed, deleted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.e2e.console.conftest import ADMIN, follow, new_key_dialog

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.console.conftest import Console

MARKUP = '<img src=x onerror=alert(1)> <b>&amp; "Bob\'s"'


def status_with(console: Console, key: str) -> int:
    """Tell what a client with this key is answered."""
    with console.client(key) as client:
        return client.get("/v1/tasks").status_code


def make_key(page: Page, name: str) -> str:
    """Make a key in the console, and return it."""
    making = new_key_dialog(page)
    making.get_by_label("Name").fill(name)
    making.get_by_role("button", name="Make it").click()
    shown = page.locator("#made-key-text")
    expect(shown).not_to_be_empty()
    page.get_by_role("button", name="Copy the key").click()
    key: str = page.evaluate("navigator.clipboard.readText()")
    assert key == shown.text_content()
    page.get_by_role("button", name="I have them").click()
    return key


def test_a_key_lives_and_ends(page: Page, console: Console) -> None:
    """Made, it opens; renamed, it still does; turned off, it stops within seconds; deleted, it is gone."""
    key = make_key(page, "a life")
    assert status_with(console, key) == 200
    follow(page, page.get_by_role("link", name="a life"))
    expect(page.get_by_text(key)).to_have_count(0)
    page.get_by_role("textbox", name="Name").fill("another name")
    page.get_by_role("combobox", name="Plan").select_option("free")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("another name")
    expect(page.get_by_text("of 60")).to_be_visible()
    page.get_by_role("button", name="Turn off").click()
    expect(page.get_by_role("button", name="Turn on")).to_be_visible()
    deadline = time.monotonic() + 6
    while status_with(console, key) != 401 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert status_with(console, key) == 401
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete the key").click()
    expect(page).to_have_url("/keys")
    expect(page.get_by_role("link", name="another name")).to_have_count(0)


def test_a_secret_is_shown_once(page: Page, console: Console) -> None:
    """A new webhook secret is shown in a dialog, and nowhere after it is closed."""
    with console.api() as api:
        made = api.post(f"{ADMIN}/api-keys", json={"name": "signed"}).json()
    page.goto(f"/keys/{made['id']}")
    page.get_by_role("button", name="Make a new secret").click()
    shown = page.locator("#secret-text")
    expect(shown).not_to_be_empty()
    secret = shown.text_content()
    assert secret is not None
    assert secret.startswith("whsec_")
    assert secret != made["webhook_secret"]
    page.get_by_role("button", name="I have it").click()
    page.reload()
    assert secret not in page.content()


def test_names_with_markup_are_text(page: Page, console: Console) -> None:
    """Whatever a name holds is shown letter by letter and does nothing."""
    with console.api() as api:
        made = api.post(f"{ADMIN}/api-keys", json={"name": MARKUP}).json()
    for path in ("/keys", f"/keys/{made['id']}"):
        page.goto(path)
        expect(page.get_by_text(MARKUP, exact=True).first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0


def test_what_is_refused_is_told_where_it_was_asked(page: Page) -> None:
    """A name that is none is refused in the dialog, which stays open with what was typed."""
    making = new_key_dialog(page)
    making.get_by_label("Name").fill("   ")
    making.get_by_role("button", name="Make it").click()
    expect(making.get_by_role("alert")).to_contain_text("name")


def test_the_keyboard_alone_makes_a_key(page: Page) -> None:
    """Tab, Enter and Escape reach and leave everything, beginning at the link that skips the menu."""
    page.goto("/keys")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="New key").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="New key")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="New key")).to_be_hidden()
    expect(page.get_by_role("button", name="New key").first).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("typed")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="A key for typed")).to_be_visible()
