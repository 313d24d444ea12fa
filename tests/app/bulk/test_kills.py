"""Kill -9 at random, ten times in a job: what comes out is what an undisturbed run writes."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING

from app.bulk.journal import read_journal
from app.bulk.tables import OWN_METADATA
from app.client import Client, Connection

if TYPE_CHECKING:
    from pathlib import Path

    from tests.app.bulk.conftest import Bench

ROWS, KILLS, PART_ROWS = 110, 10, 8
LONGEST_S = 60.0


def test_ten_kills_change_nothing(bench: Bench) -> None:
    """The tables of a job that was killed ten times are, byte for byte, those of one that was not."""
    names = bench.pictures(ROWS)
    rows = [(f"id {number}", name, "age" if number % 3 else "") for number, name in enumerate(names)]
    rows[17] = ("broken", _text_that_is_no_picture(bench), "")
    manifest = bench.manifest(["id", "source", "attributes"], rows)
    shape = ("bulk", "run", manifest, "--part-rows", str(PART_ROWS))
    undisturbed = bench.run(*shape, "--out", "calm")
    assert undisturbed.returncode == 8, undisturbed.stderr

    chance = random.Random(7)  # noqa: S311 - no secret
    killed = 0
    while killed < KILLS and _killed(bench, (*shape, "--out", "stormy", "--concurrency", "4"), chance):
        killed += 1
    assert killed == KILLS, "the job was over too soon"
    last = bench.run(*shape, "--out", "stormy")
    assert last.returncode == 8, last.stderr

    calm, stormy = (_files(bench.folder / name) for name in ("calm", "stormy"))
    assert set(calm) == set(stormy)
    assert len(calm) == 3 * -(-ROWS // PART_ROWS) + 1
    for name, data in calm.items():
        assert stormy[name] == data, name
    assert not list((bench.folder / "stormy").rglob("*.part"))
    assert not (bench.folder / "stormy" / "work").exists()

    job_id = _job_id(bench.folder / "stormy")
    with Client(Connection(bench.url, bench.key)) as client:
        keys = Counter(str((task.metadata or {}).get(OWN_METADATA)) for task in client.tasks.each())
    ours = {key: count for key, count in keys.items() if key.startswith(f"bulk-{job_id}-")}
    assert len(ours) == ROWS
    assert set(ours.values()) == {1}


def _killed(bench: Bench, arguments: tuple[str, ...], chance: random.Random) -> bool:
    """Start the job, kill it after it has noted a few lines more, and tell whether it was still at work."""
    journal = bench.folder / "stormy" / "journal.jsonl"
    enough = _lines(journal) + chance.randint(1, 14)
    process = subprocess.Popen(
        bench.command(*arguments),
        env=bench.environment,
        cwd=bench.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + LONGEST_S
    while process.poll() is None and _lines(journal) < enough and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(chance.random() * 0.1)
    was_at_work = process.poll() is None
    process.kill()
    process.wait()
    return was_at_work


def _lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def _files(folder: Path) -> dict[str, bytes]:
    found = [*folder.glob("*/part-*"), folder / "failures.csv"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def _job_id(folder: Path) -> str:
    task = next(line for line in read_journal(folder / "journal.jsonl") if line["event"] == "task")
    assert task["task"].startswith("task_")
    return (folder / "job.json").read_text().split('"job_id": "')[1].split('"')[0]


def _text_that_is_no_picture(bench: Bench) -> str:
    (bench.folder / "text.jpg").write_text("no picture")
    return "text.jpg"
