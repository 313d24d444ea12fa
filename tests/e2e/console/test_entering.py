"""In and out of the console: passwords, sessions that end, and what browsers are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.e2e.console.conftest import ADMIN, PASSWORD, fill_login, new_key_dialog

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.console.conftest import Console


def test_who_logs_in_comes_back_to_where_he_was_led_from(stranger: Page) -> None:
    """A page asked for without a session leads to the login, and the login to the page."""
    stranger.goto("/keys?page=1")
    assert "/login" in stranger.url
    fill_login(stranger, PASSWORD)
    expect(stranger).to_have_url("/keys?page=1")
    expect(stranger.get_by_role("heading", level=1)).to_have_text("Keys")


def test_a_wrong_password_is_told_and_keeps_the_name(stranger: Page) -> None:
    """The page says so, and only the password is to be typed again."""
    stranger.goto("/login")
    fill_login(stranger, "guess")
    expect(stranger.get_by_role("alert")).to_contain_text("The name or the password is wrong.")
    expect(stranger.get_by_label("Name")).to_have_value("admin")
    expect(stranger.get_by_label("Password")).to_be_focused()


def test_a_logout_ends_the_session(page: Page, console: Console) -> None:
    """Afterwards neither the page before nor the cookie opens anything."""
    page.goto("/keys")
    cookie = page.context.cookies()[0]["value"]
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url("/login")
    page.go_back()
    assert "/login" in page.url
    with console.api() as api:
        answer = api.get(f"{ADMIN}/auth/session", auth=None, headers={"Cookie": f"facefleet_admin={cookie}"})
        assert answer.status_code == 401


def test_a_session_that_ends_in_mid_use_loses_nothing(page: Page) -> None:
    """What was begun goes on after the password was typed into a dialog, on the same page."""
    making = new_key_dialog(page)
    making.get_by_label("Name").fill("made after the session ended")
    page.context.clear_cookies()
    making.get_by_role("button", name="Make it").click()
    dialog = page.get_by_role("dialog", name="Your session has ended")
    dialog.get_by_label("Password").fill("wrong")
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog.get_by_role("alert")).to_contain_text("wrong")
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("dialog", name="made after the session ended")).to_be_visible()


def test_logins_lead_nowhere_else(stranger: Page, console: Console) -> None:
    """An address of another site in the link to the login is not followed."""
    stranger.goto("/login?next=//example.com/%0d%0aevil")
    fill_login(stranger, PASSWORD)
    stranger.wait_for_load_state()
    assert stranger.url.startswith(console.url)


def test_browsers_run_only_our_files(page: Page) -> None:
    """Scripts and styles in a page, code in a text and frames of other sites are all refused by policy."""
    answer = page.goto("/keys")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    for word in ("default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"):
        assert word in policy
    assert answer.headers["cache-control"] == "no-store"
    assert page.locator("style, [style], script:not([src]), [onclick], [onload]").count() == 0
