"""What may be wrong on this machine, and how to mend it: each check is one function and one finding.

No check changes anything, and none needs the service to run.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

from app.db.engine import Database, database_url
from app.settings import unknown_variables
from cluster.environment import place_of
from cluster.local import is_up, read_state
from cluster.ports import obstacle, ports_for
from cluster.processes import marked
from models.manifest import DEFAULT_PACK, load_manifest
from models.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from app.settings import Settings

OK: Final = "ok"
WARNING: Final = "warning"
BAD: Final = "bad"

OLDEST_PYTHON = (3, 10)
#: Below the first the service will soon stop; below the second it is time to act.
LEAST_DISK_BYTES, LITTLE_DISK_BYTES = 1_000_000_000, 10_000_000_000
LEAST_MEMORY_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        check: what was looked at.
        state: ok, warning (it will run) or bad (it will not).
        text: what was seen.
        mend: what to do about it.
    """

    check: str
    state: str
    text: str
    mend: str = ""


def examine(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """Return what every check finds; a check that stumbles is a finding as well."""
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("python", lambda: check_python(sys.version_info[:2])),
        ("settings", lambda: check_settings(environment)),
        ("home", lambda: check_home(settings)),
        ("disk", lambda: check_disk(settings)),
        ("memory", check_memory),
        ("onnxruntime", check_onnxruntime),
        ("weights", lambda: check_weights(settings)),
        ("service", lambda: check_service(settings)),
        ("port", lambda: check_port(settings)),
        ("database", lambda: check_database(settings)),
    ]
    return [_safely(name, check) for name, check in checks]


def check_python(version: tuple[int, ...]) -> Finding:
    """Look at Python's own version."""
    shown = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        return Finding("python", BAD, shown, "install Python 3.10 or newer and run make up PYTHON=python3.x")
    return Finding("python", OK, shown)


def check_settings(environment: Mapping[str, str]) -> Finding:
    """Look for variables that no setting reads."""
    warnings = unknown_variables(environment)
    if warnings:
        return Finding("settings", WARNING, " ".join(warnings), "correct or remove these variables")
    return Finding("settings", OK, "every FACE_API_ variable is one")


def check_home(settings: Settings) -> Finding:
    """See whether the folder of all data can be written."""
    home = settings.home.expanduser()
    there = home
    while not there.exists() and there != there.parent:
        there = there.parent
    probe = there / ".facefleet-doctor"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        mend = f"let this user write to {there}, or choose another folder with FACE_API_HOME"
        return Finding("home", BAD, f"{home}: {error.strerror}", mend)
    return Finding("home", OK, str(home))


def check_disk(settings: Settings) -> Finding:
    """See how much room there is for data."""
    there = settings.home.expanduser()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    text = f"{free / 1e9:.1f} GB free at {there}"
    mend = "make room, or choose another disk with FACE_API_HOME; FACE_API_RETENTION_DAYS drops old pictures"
    if free < LEAST_DISK_BYTES:
        return Finding("disk", BAD, text, mend)
    return Finding("disk", WARNING if free < LITTLE_DISK_BYTES else OK, text, mend)


def check_memory() -> Finding:
    """See whether the service would fit."""
    free = psutil.virtual_memory().available
    text = f"{free / 1e9:.1f} GB free"
    if free < LEAST_MEMORY_BYTES:
        return Finding(
            "memory", WARNING, text, "the service needs about 1 GB, large videos more: end something"
        )
    return Finding("memory", OK, text)


def check_onnxruntime() -> Finding:
    """See what networks would run on."""
    try:
        import onnxruntime  # noqa: PLC0415 - it may be missing, which is what this is about
    except ImportError as error:
        return Finding("onnxruntime", BAD, str(error), "pip install 'facefleet[cpu]', or [gpu] with a GPU")
    providers = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    text = f"{onnxruntime.__version__}, runs on {', '.join(providers)}"
    if shutil.which("nvidia-smi") and "CUDA" not in providers:
        mend = "there is a GPU: pip uninstall onnxruntime, then pip install 'facefleet[gpu]'"
        return Finding("onnxruntime", WARNING, text, mend)
    return Finding("onnxruntime", OK, text)


def check_weights(settings: Settings) -> Finding:
    """See whether the networks of the default pack are installed."""
    store = Store(settings.home.expanduser() / "models", settings.models_dir)
    problems = [store.problem(network) for network in load_manifest().pack(DEFAULT_PACK)]
    missing = [problem for problem in problems if problem is not None]
    if missing:
        return Finding("weights", WARNING, f"{missing[0]} ({len(missing)} in all)", "facefleet models pull")
    return Finding("weights", OK, f"{len(problems)} networks of the default pack")


def check_service(settings: Settings) -> Finding:
    """See whether the service of this home runs, or what is left of one that does not."""
    place = place_of(settings)
    processes = marked(place.mark)
    running = read_state(place)
    if running is not None and processes and is_up(running):
        return Finding("service", OK, f"answers at {running.url}")
    if processes:
        text = f"{len(processes)} processes of a service that does not answer are left"
        return Finding("service", BAD, text, "facefleet down")
    return Finding("service", OK, "does not run; nothing of it is left")


def check_port(settings: Settings) -> Finding:
    """See whether the service could listen."""
    place = place_of(settings)
    ports_for(place.home)
    if marked(place.mark):
        return Finding("port", OK, f"{settings.port} is this service's own")
    problem = obstacle(settings.host, settings.port)
    if problem:
        return Finding("port", BAD, problem, "choose another with FACE_API_PORT (and FACE_API_HOST)")
    return Finding("port", OK, f"{settings.port} on {settings.host} is free")


def check_database(settings: Settings) -> Finding:
    """See whether the database answers."""
    if not settings.database_enabled:
        return Finding("database", OK, "switched off")
    given = settings.database_url
    url = database_url(given.get_secret_value() if given else None, settings.home.expanduser())
    if given is None and not (settings.home.expanduser() / "facefleet.db").exists():
        return Finding("database", OK, "SQLite; it is made at the first start")

    async def ask() -> str | None:
        database = Database(url)
        try:
            return await database.problem()
        finally:
            await database.close()

    problem = asyncio.run(ask())
    if problem:
        mend = "start it, or correct FACE_API_DATABASE_URL; tasks wait meanwhile and are not lost"
        return Finding("database", BAD, problem, mend)
    return Finding("database", OK, f"{url.get_backend_name()} answers")


def _safely(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a doctor tells of everything
        return Finding(
            name, BAD, f"{type(error).__name__}: {error}", "see the text; the check itself stumbled"
        )
