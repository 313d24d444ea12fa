"""How long the console's pages take, asked for as a browser does, of a service that runs.

    FACE_API_ADMIN_PASSWORD=… python -m cluster.bench.console_pages --url http://127.0.0.1:8000

Lists lead to their first entry. Told are the median and the slowest of some rounds, the way there included.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

LIMIT_MS = 300.0
PAGES = (
    "/",
    "/?window=week",
    "/try",
    "/images",
    "/jobs",
    "/tasks",
    "/libraries",
    "/keys",
    "/system",
    "/audit",
)
#: Lists whose first entry is looked at, too.
_LISTS = ("images", "jobs", "tasks", "libraries", "keys")


@dataclass(frozen=True, slots=True)
class PageTime:
    """How long one page took."""

    page: str
    bytes: int
    median_ms: float
    slowest_ms: float


def measure(client: httpx.Client, rounds: int) -> list[PageTime]:
    """Ask for every page, once to warm up and then as often as is said."""
    found = []
    for name, path in _pages(client):
        size, times = 0, []
        for number in range(rounds + 1):
            began = time.perf_counter()
            answer = client.get(path)
            took_ms = (time.perf_counter() - began) * 1e3
            answer.raise_for_status()
            size = len(answer.content)
            times += [took_ms] if number else []
        found.append(PageTime(name, size, round(statistics.median(times), 1), round(max(times), 1)))
    return found


def _pages(client: httpx.Client) -> list[tuple[str, str]]:
    """Return all pages, with the name of their kind."""
    pages = [(page, page) for page in PAGES]
    for name in _LISTS:
        entry = re.search(rf'href="(/{name}/[^"/?]+)"', client.get(f"/{name}").text)
        if entry is not None:
            pages.append((f"/{name}/…", entry[1]))
    return pages


def main() -> None:
    """Print a table, and write it as JSON; fail where a page's median is over the limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    login = {"username": "admin", "password": os.environ["FACE_API_ADMIN_PASSWORD"]}
    with httpx.Client(base_url=arguments.url, timeout=30, trust_env=False) as client:
        client.post("/api/v1/admin/auth/login", json=login).raise_for_status()
        found = measure(client, arguments.rounds)
    table = Table("page", "kB", "median ms", "slowest ms")
    for each in found:
        table.add_row(each.page, f"{each.bytes / 1e3:.0f}", f"{each.median_ms:g}", f"{each.slowest_ms:g}")
    Console().print(table)
    bench = Path("bench")
    bench.mkdir(exist_ok=True)
    (bench / "console_pages.json").write_text(json.dumps([asdict(each) for each in found], indent=2))
    slow = [each.page for each in found if each.median_ms > LIMIT_MS]
    if slow:
        message = f"over {LIMIT_MS:g} ms: {', '.join(slow)}"
        raise SystemExit(message)


if __name__ == "__main__":
    main()
