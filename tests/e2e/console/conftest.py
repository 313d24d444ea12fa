"""The console in a real browser, over the app in one process; both are started once for all tests here."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    expect,
    sync_playwright,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[3]
PASSWORD = "correct horse battery staple"  # noqa: S105 - of a test
KEY = "the-key-of-this-test"
SECRET = "whsec_c2VjcmV0IG9mIHRoaXMgdGVzdA=="  # noqa: S105 - of a test
ADMIN = "/api/v1/admin"
#: Pictures of the pages, to be looked at; git ignores the folder.
OUTPUT = ROOT / "tests" / "output" / "console"
#: Names under which browsers are installed; FACEFLEET_BROWSER names another.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_S = 90
PATIENCE_MS = 30_000
#: What ends the browser, last things first.
TO_CLOSE: list[Callable[[], None]] = []
#: What browsers say of an answer that a test asked for on purpose.
EXPECTED = ("Failed to load resource",)


@dataclass(frozen=True)
class Console:
    """The running service."""

    url: str
    home: Path

    def api(self) -> httpx.Client:
        """Return a client of the admin API."""
        return httpx.Client(base_url=self.url, auth=("admin", PASSWORD), timeout=60, trust_env=False)

    def client(self, key: str = KEY) -> httpx.Client:
        """Return a client with a key."""
        return httpx.Client(base_url=self.url, headers={"X-API-Key": key}, timeout=60, trust_env=False)


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory, weights_folder: Path) -> Iterator[Console]:
    """Run the service."""
    home = tmp_path_factory.mktemp("console")
    (home / "models").symlink_to(weights_folder, target_is_directory=True)
    environment = {
        **os.environ,
        "FACE_API_HOME": str(home),
        "FACE_API_ADMIN_PASSWORD": PASSWORD,
        "FACE_API_BOOTSTRAP_KEY": KEY,
        "FACE_API_BOOTSTRAP_WEBHOOK_SECRET": SECRET,
        "FACE_API_FETCH_ALLOW": "127.0.0.1",
        "FACE_API_ADMIN_LOGIN_RATE_LIMIT": "off",
    }
    with socket.create_server(("127.0.0.1", 0)) as listening, (home / "log").open("wb") as log:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.console.service", str(listening.fileno())],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[listening.fileno()],
        )
        try:
            _wait_until_well(url, process, home / "log")
            yield Console(url, home)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_well(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def find_browser() -> str | None:
    """Return the browser that is installed here; an empty text stands for Playwright's own."""
    named = os.environ.get("FACEFLEET_BROWSER")
    if named:
        return named
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is not None:
        return found
    with sync_playwright() as playwright:
        return "" if Path(playwright.chromium.executable_path).is_file() else None


@pytest.fixture(scope="session")
def browser() -> Browser:
    """Run a browser without a window."""
    path = find_browser()
    if path is None:
        reason = f"no browser: install one of {', '.join(NAMES)}, or name one in FACEFLEET_BROWSER"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=PATIENCE_MS)
    playwright = sync_playwright().start()
    # Root may not use the browser's sandbox; the pages are our own.
    started = playwright.chromium.launch(executable_path=path or None, args=["--no-sandbox"])
    TO_CLOSE.extend((playwright.stop, started.close))
    return started


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Close the browser with the last test here: while it is open, an event loop runs in this thread."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        while TO_CLOSE:
            TO_CLOSE.pop()()


@pytest.fixture
def context(browser: Browser, console: Console) -> Iterator[BrowserContext]:
    """Open a browser's profile in which nobody is logged in."""
    opened = browser.new_context(
        base_url=console.url, viewport={"width": 1280, "height": 860}, reduced_motion="reduce"
    )
    opened.set_default_timeout(PATIENCE_MS)
    opened.grant_permissions(["clipboard-read", "clipboard-write"])
    yield opened
    opened.close()


@pytest.fixture
def stranger(context: BrowserContext) -> Iterator[Page]:
    """Open a page in it. What the browser complains of, scripts that fail among it, fails the test."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def listen(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(EXPECTED):
            complaints.append(message.text)

    page.on("console", listen)
    yield page
    assert complaints == []


@pytest.fixture
def page(stranger: Page, console: Console) -> Page:
    """Open a page in which the administrator is logged in."""
    log_in_quietly(stranger, console)
    return stranger


def log_in_quietly(page: Page, console: Console) -> None:
    """Give the page a session without the login page."""
    answer = httpx.post(
        f"{console.url}{ADMIN}/auth/login",
        json={"username": "admin", "password": PASSWORD},
        trust_env=False,
    )
    page.context.add_cookies(
        [{"name": "facefleet_admin", "value": answer.cookies["facefleet_admin"], "url": console.url}]
    )


def follow(page: Page, link: Locator) -> None:
    """Follow a link, and wait until the scripts of the page behind it listen."""
    with page.expect_navigation(wait_until="load"):
        link.click()


def fill_login(page: Page, password: str) -> None:
    """Fill the login page, and send it."""
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def new_key_dialog(page: Page) -> Locator:
    """Open the dialog that makes a key."""
    page.goto("/keys")
    page.get_by_role("button", name="New key").first.click()
    return page.get_by_role("dialog", name="New key")


def new_library(console: Console, handle: str, **more: str) -> None:
    """Make a library for the key of the tests."""
    with console.client() as client:
        answer = client.post("/v1/library", json={"library_id": handle, **more})
        assert answer.status_code == 200, answer.text


def serious_problems(page: Page) -> list[str]:
    """Return what axe-core finds on the page that keeps people out, as lines to read."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"]
    ]
