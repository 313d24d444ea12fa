"""A service's processes are found by their mark, and only they are ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import psutil

from cluster.processes import MARK, end_marked, marked

if TYPE_CHECKING:
    from collections.abc import Iterator

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
PARENT = (
    "import subprocess, sys; "
    f'child = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], start_new_session=True); child.wait()'
)


@contextmanager
def running(program: str, mark: str | None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python program with this mark until the block ends."""
    environment = {**os.environ, **({MARK: mark} if mark else {})}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def test_only_processes_with_the_mark_are_found() -> None:
    """Another service's processes, and those of nobody, are left out."""
    with ExitStack() as stack:
        own = stack.enter_context(running(SLEEPER, "/this/home"))
        stack.enter_context(running(SLEEPER, "/this/home-too"))
        stack.enter_context(running(SLEEPER, None))
        assert [process.pid for process in marked("/this/home")] == [own.pid]


def test_children_in_sessions_of_their_own_are_found() -> None:
    """What a service's processes start is the service's, even where it went its own way."""
    with running(PARENT, "/parent/home") as parent:
        found = {process.pid for process in marked("/parent/home")}
        assert parent.pid in found
        assert len(found) == 2
        assert end_marked("/parent/home", grace_s=2) == 0
    assert marked("/parent/home") == []


def test_those_that_do_not_listen_are_made_to_end() -> None:
    """A process that ignores the request to end is killed after its time of grace."""
    with running(STUBBORN, "/stubborn/home") as process:
        start = time.monotonic()
        assert end_marked("/stubborn/home", grace_s=0.5) == 0
        assert 0.4 < time.monotonic() - start < 10
        process.wait(5)
        assert not psutil.pid_exists(process.pid)


def test_ending_what_is_not_there_is_no_trouble() -> None:
    """A home without processes has nothing to end."""
    assert end_marked("/no/such/home", grace_s=1) == 0


def test_the_caller_is_never_among_them() -> None:
    """A command that bears the mark itself, or was started by one that does, does not end itself."""
    program = (
        "from cluster.processes import end_marked, marked; "
        f"assert not marked({'/own/home'!r}); end_marked({'/own/home'!r}, 1); print('alive')"
    )
    shell = f"{sys.executable} -c {program!r}; echo still here"
    ran = subprocess.run(
        ["sh", "-c", shell], env={**os.environ, MARK: "/own/home"}, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split("\n")[:2] == ["alive", "still here"]
