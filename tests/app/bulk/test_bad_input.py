"""What can be wrong with a bulk job: each has words and an exit code, and leaves nothing half-written."""

from __future__ import annotations

import csv
import json
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from app.bulk.journal import read_journal
from app.client import Client, Connection
from cluster.cli import app

if TYPE_CHECKING:
    from pathlib import Path

    from tests.app.bulk.conftest import Bench


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    returncode: int
    stderr: str


NOBODY = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("source\nno-such.png\n", "no-such.png: No such file"),
        ("source\nempty.png\n", "empty.png is empty"),
        ("id,source\na,p.png\na,p.png\n", "the id 'a' is that of row 1 too"),
        ("id,source\na,p.png\nb\n", "it has 1 fields, the first line has 2"),
        ("id,source\na,\n", "source is empty"),
        ("source\nnotes.txt\n", "say video, image or gif in a column `type`"),
        ("source,type\np.png,film\n", "type: 'film' is none of video, image, gif"),
        ("source,sample_rate\np.png,many\n", "sample_rate: 'many' is no whole number from 1 to 30"),
        ("source,sample_rate\np.png,1.5\n", "sample_rate: '1.5' is no whole number from 1 to 30"),
        ("source,confidence_threshold\np.png,nan\n", "is no number from 0 to 1"),
        ("source,metadata\np.png,[1]\n", "is no JSON object"),
        ("source\nftp://x/y.png\n", "addresses begin with http://"),
        ("source,sample_rat\np.png,1\n", "there is no column 'sample_rat', did you mean 'sample_rate'?"),
        ("file,id\np.png,1\n", "there is no column `source`"),
        ("source,path\np.png,p.png\n", "the columns source and path mean the same"),
        ("source,source\np.png,p.png\n", "the column 'source' is there twice"),
        ("source\n", "has no rows"),
        ("", "there is no column `source`"),
    ],
)
def test_bad_manifests_are_told_before_anything_is_sent(bench: Bench, text: str, words: str) -> None:
    """A manifest with a mistake is refused with the place and the reason; no folder is left."""
    bench.pictures(1)
    (bench.folder / "p.png").write_bytes((bench.folder / "picture-0000.png").read_bytes())
    (bench.folder / "empty.png").touch()
    (bench.folder / "m.csv").write_text(text)
    ran = _run_in_process(bench, "m.csv", url=NOBODY)
    assert ran.returncode == 2, ran.stderr
    assert words in ran.stderr
    assert not (bench.folder / "out").exists()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("m.jsonl", b'{"source": "p.png"}\n{"source": \n', "line 2: it is no JSON"),
        ("m.jsonl", b'{"source": "p.png"}\n[1]\n', "line 2: it is no JSON object"),
        ("m.jsonl", b'{"source": "p.png"}\n{"other": 1}\n', "line 2: there is no column `source`"),
        ("m.jsonl", b'{"source": 5}\n', "line 1"),
        ("m.csv", b"source\np\xff.png\n", "it is not written in UTF-8"),
        ("m.parquet", b"PAR1 it is not", "is no Parquet file"),
        ("m.xlsx", b"", "a manifest's name ends in .csv"),
    ],
)
def test_unreadable_files(bench: Bench, name: str, data: bytes, words: str) -> None:
    """What cannot be read is told with its line."""
    (bench.folder / "p.png").write_bytes(b"x")
    (bench.folder / name).write_bytes(data)
    ran = _run_in_process(bench, name, url=NOBODY)
    assert (ran.returncode, words in ran.stderr) == (2, True), ran.stderr
    assert not (bench.folder / "out").exists()


def test_bad_rows_can_be_left_out(bench: Bench) -> None:
    """With --skip-bad-rows the others are done, and the bad ones stand among the failures with reasons."""
    (name,) = bench.pictures(1)
    manifest = bench.manifest(["id", "source"], [("good", name), ("away", "away.png"), ("good", name)])
    ran = bench.run("bulk", "run", manifest, "--out", "out", "--skip-bad-rows", "--json", "--format", "jsonl")
    assert ran.returncode == 8, ran.stderr
    assert json.loads(ran.stdout) | {"out": ""} == {
        "out": "",
        "rows": 3,
        "succeeded": 1,
        "failed": 2,
        "faces": 2,
        "media_s": 0.0,
        "failures": "out/failures.csv",
    }
    with (bench.folder / "out" / "failures.csv").open() as stream:
        failed = list(csv.DictReader(stream))
    assert [row["error_code"] for row in failed] == ["unusable_row", "unusable_row"]
    assert "No such file" in failed[0]["reason"]
    assert "is that of row 1" in failed[1]["reason"]


def test_failures_are_a_manifest(bench: Bench) -> None:
    """Once the file is mended, the failures file runs as it is, with the options of its rows."""
    (good,) = bench.pictures(1)
    (bench.folder / "bad.jpg").write_text("no picture")
    manifest = bench.manifest(["id", "source", "attributes"], [("one", "bad.jpg", "age")])
    first = bench.run("bulk", "run", manifest, "--out", "out")
    assert first.returncode == 8, first.stderr
    (bench.folder / "bad.jpg").write_bytes((bench.folder / good).read_bytes())
    second = bench.run("bulk", "run", "out/failures.csv", "--out", "again")
    assert second.returncode == 0, second.stderr
    assert not (bench.folder / "again" / "failures.csv").exists()


def test_a_key_that_opens_nothing(bench: Bench) -> None:
    """A key that is turned off in the middle stops the job with exit code 4; with a good one it goes on."""
    names = bench.pictures(40)
    manifest = bench.manifest(["source"], [(name,) for name in names])
    with Client(Connection(bench.url, admin=("admin", "correct horse"))) as admin:
        made = admin.keys.create("of a test")
        bench.key = made.key
        process = subprocess.Popen(
            bench.command("bulk", "run", manifest, "--out", "out", "--concurrency", "2"),
            env=bench.environment,
            cwd=bench.folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        _wait_for_results(bench.folder / "out", 3)
        admin.keys.change(made.id, is_active=False)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 4, said
        assert "The same command goes on" in said
        admin.keys.change(made.id, is_active=True)
    deadline = time.monotonic() + 30
    while (ran := bench.run("bulk", "run", manifest, "--out", "out")).returncode == 4:
        assert time.monotonic() < deadline
    assert ran.returncode == 0, ran.stderr


def test_a_service_that_is_away_for_a_while(bench: Bench) -> None:
    """A job waits for a service that is away, says so once, and goes on when it is back."""
    (name,) = bench.pictures(1)
    manifest = bench.manifest(["source"], [(name,)])
    with _Door(bench.url) as door:
        bench.url = door.url
        process = subprocess.Popen(
            bench.command("bulk", "run", manifest, "--out", "out"),
            env=bench.environment,
            cwd=bench.folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(4)
        assert process.poll() is None
        door.is_open = True
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert said.count("trying again") == 1


def test_a_service_that_stays_away(bench: Bench) -> None:
    """Past its patience a job stops with exit code 6, and its folder can be gone on with."""
    (name,) = bench.pictures(1)
    manifest = bench.manifest(["source"], [(name,)])
    there, bench.url = bench.url, NOBODY
    ran = bench.run("bulk", "run", manifest, "--out", "out", "--patience", "1")
    assert ran.returncode == 6, ran.stderr
    assert f"nothing answers at {NOBODY}" in ran.stderr
    assert not list((bench.folder / "out").glob("*/part-*"))
    bench.url = there
    other = bench.run("bulk", "run", manifest, "--out", "out")
    assert other.returncode == 9
    assert f"belongs to a job at {NOBODY}" in other.stderr


def test_the_folder_of_another_job(bench: Bench) -> None:
    """Neither another manifest nor other options get into a job's folder, nor a job into a folder in use."""
    first, second = bench.pictures(2)
    manifest = bench.manifest(["source"], [(first,)])
    assert _run_in_process(bench, manifest).returncode == 0
    before = _listing(bench.folder / "out")
    bench.manifest(["source"], [(second,)])
    changed = _run_in_process(bench, manifest)
    assert changed.returncode == 9
    assert "belongs to another job" in changed.stderr
    bench.manifest(["source"], [(first,)])
    assert _run_in_process(bench, manifest, "--format", "jsonl").returncode == 9
    assert _listing(bench.folder / "out") == before
    (bench.folder / "mine").mkdir()
    (bench.folder / "mine" / "thesis.txt").write_text("all my work")
    foreign = _run_in_process(bench, manifest, out="mine")
    assert foreign.returncode == 9
    assert "is no bulk job" in foreign.stderr
    assert [each.name for each in (bench.folder / "mine").iterdir()] == ["thesis.txt"]


def test_ctrl_c_and_two_at_once(bench: Bench) -> None:
    """Ctrl-C ends a job with exit code 130; a second process is kept out while the first is at work."""
    names = bench.pictures(60)
    manifest = bench.manifest(["source"], [(name,) for name in names])
    process = subprocess.Popen(
        bench.command("bulk", "run", manifest, "--out", "out", "--concurrency", "1"),
        env=bench.environment,
        cwd=bench.folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_for_results(bench.folder / "out", 2)
    process.send_signal(signal.SIGSTOP)  # so that it is not done before it is interrupted
    second = _run_in_process(bench, manifest)
    assert second.returncode == 9
    assert "another process works in" in second.stderr
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert bench.run("bulk", "run", manifest, "--out", "out").returncode == 0


def _run_in_process(bench: Bench, manifest: str, *more: str, url: str | None = None, out: str = "out") -> Ran:
    """Run a job without a process of its own: nothing is sent, so it is quick."""
    arguments = ["bulk", "run", str(bench.folder / manifest), "--out", str(bench.folder / out), *more]
    bench.url = url or bench.url
    ended = CliRunner().invoke(app, arguments, env=bench.environment)
    return Ran(ended.exit_code, ended.stderr)


def _wait_for_results(out: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if sum(line["event"] == "done" for line in read_journal(out / "journal.jsonl")) >= count:
            return
        time.sleep(0.02)
    raise AssertionError(out)


def _listing(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class _Door:
    """A way to a service that refuses connections until it is opened."""

    def __init__(self, target: str) -> None:
        host, port = target.removeprefix("http://").split(":")
        self._target = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.is_open = False

    def __enter__(self) -> _Door:  # noqa: PYI034 - Self needs Python 3.11
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                come, _ = self._listening.accept()
            except OSError:
                return
            if not self.is_open:
                come.close()
                continue
            there = socket.create_connection(self._target)
            for source, sink in ((come, there), (there, come)):
                threading.Thread(target=_pour, args=(source, sink), daemon=True).start()


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with sink:
        while data := _received(source):
            try:
                sink.sendall(data)
            except OSError:
                return


def _received(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""
