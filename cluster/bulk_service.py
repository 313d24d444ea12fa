"""A service for one bulk job: in the job's folder, on a port of its own, gone when the job is done.

A job that is broken off leaves the service's memory where it is, so that tasks which were under way are found
again; one that is killed leaves the service running too, and the next run takes it over.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app.bulk.errors import BulkError
from app.client.call import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER = ".service"
UP_TIMEOUT_S = 300
DOWN_TIMEOUT_S = 120


class ServiceDidNotStart(BulkError):
    """The job's own service did not start; the text is what it said."""


@contextmanager
def bulk_service(out: Path) -> Iterator[Connection]:
    """Start a service, give the way to it, and stop it.

    Args:
        out: the job's folder; it must exist.

    Raises:
        ServiceDidNotStart: it did not.
    """
    from app.settings import Settings  # noqa: PLC0415 - other jobs need no settings
    from cluster.ports import free_ports  # noqa: PLC0415 - as above

    home = (out / FOLDER).absolute()
    home.mkdir(mode=0o700, exist_ok=True)
    models = Settings().home.expanduser() / "models"
    if models.is_dir() and not (home / "models").exists():
        (home / "models").symlink_to(models.resolve())
    variables = {
        **os.environ,
        "FACE_API_HOME": str(home),
        "FACE_API_HOST": "127.0.0.1",
        "FACE_API_PORT": _kept(home / "port", lambda: str(free_ports(1)[0])),
        "FACE_API_BOOTSTRAP_KEY": _kept(home / "key", lambda: secrets.token_urlsafe(24)),
        "FACE_API_ADMIN_PASSWORD": secrets.token_urlsafe(24),
        # The job is its only client, and its pace adapts by itself.
        "FACE_API_PLANS": '{"default": {"requests_per_minute": 60000, "concurrent_tasks": 64}}',
    }
    for name in ("FACE_API_DATABASE_URL", "FACE_API_S3_BUCKET", "FACE_API_REDIS_URL"):
        variables.pop(name, None)
    try:
        up = _facefleet("up", variables, UP_TIMEOUT_S)
        if up.returncode:
            message = f"the job's own service did not start: {up.stderr.strip() or up.stdout.strip()}"
            raise ServiceDidNotStart(message)  # noqa: TRY301 - what did start is stopped below
        yield Connection(
            f"http://127.0.0.1:{variables['FACE_API_PORT']}", variables["FACE_API_BOOTSTRAP_KEY"]
        )
    except BaseException:
        _facefleet("down", variables, DOWN_TIMEOUT_S)
        raise
    _facefleet("down", variables, DOWN_TIMEOUT_S)
    shutil.rmtree(home, ignore_errors=True)


def _facefleet(command: str, variables: dict[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "cluster", command],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd=Path(__file__).parents[1],
    )


def _kept(path: Path, make: Callable[[], str]) -> str:
    """Return what was written down at the first start."""
    if not path.exists():
        path.touch(mode=0o600)
    text = path.read_text("utf-8")
    if not text:
        text = make()
        path.write_text(text, "utf-8")
    return text
