"""`facefleet models`: see, fetch and check the networks' weights, and read their licences.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a licence was not accepted.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from models.errors import LicenceNotAccepted, UnknownNetwork
from models.listening import Listener
from models.manifest import DEFAULT_PACK, Manifest, Network, load_manifest
from models.store import Store, default_home
from pipelines.errors import FacefleetError

FAILED, WRONG_USAGE, LICENCE_REFUSED = 1, 2, 3

app = typer.Typer(
    name="models",
    help="See, fetch and check the networks' weights.",
    no_args_is_help=True,
    add_completion=False,
)

Names = Annotated[
    list[str] | None, typer.Argument(help="Networks, as `list` names them.", show_default=False)
]
Pack = Annotated[str | None, typer.Option("--pack", help="All networks of this pack.", show_default=False)]
Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="FACE_API_HOME",
        help="Folder of all data; weights lie in `models` below it. [default: in the user's data directory]",
        show_default=False,
    ),
]
Local = Annotated[
    Path | None,
    typer.Option(
        "--models-dir",
        envvar="FACE_API_MODELS_DIR",
        help="Folder with weights to look into before any download.",
        exists=True,
        file_okay=False,
        show_default=False,
    ),
]


@app.command("list")
def list_networks(
    pack: Pack = None,
    home: Home = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the networks and whether they are installed."""
    with _errors_shown():
        store = _store(home)
        rows = [_row(network, store) for network in _chosen(load_manifest(), (), pack, everything=True)]
        if as_json:
            typer.echo(json.dumps(rows, indent=2))
        else:
            _print_table(rows)


@app.command()
def pull(
    names: Names = None,
    pack: Pack = None,
    home: Home = None,
    local: Local = None,
    *,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="You accept licences that forbid commercial use.")
    ] = False,
) -> None:
    """Fetch, check and install weights: the default pack unless networks or a pack are named."""
    with _errors_shown(), _listener() as listener:
        networks = _chosen(load_manifest(), names or (), pack)
        _store(home, local).pull(*networks, accept_license=accept_license, listener=listener)


@app.command()
def verify(names: Names = None, pack: Pack = None, home: Home = None) -> None:
    """Hash the default pack and all else that is installed, or the networks that are named."""
    with _errors_shown():
        store = _store(home)
        manifest = load_manifest()
        networks = _chosen(manifest, names or (), pack)
        if not names and pack is None:
            installed = (each for each in manifest.networks.values() if store.record(each) is not None)
            networks = tuple(dict.fromkeys((*networks, *installed)))
        problems = [(network, store.problem(network, thorough=True)) for network in networks]
        for network, problem in problems:
            typer.echo(f"{network.name}: as it should be" if problem is None else problem)
        if any(problem is not None for _, problem in problems):
            raise typer.Exit(FAILED)


@app.command()
def licences(names: Names = None, pack: Pack = None) -> None:
    """Print the licence and the attribution notice of every network, or of those named."""
    with _errors_shown():
        for network in _chosen(load_manifest(), names or (), pack, everything=True):
            limit = "" if network.commercial else " (no commercial use)"
            typer.echo(f"{network.name}: {network.licence}{limit}\n{network.licence_url}")
            typer.echo(f"{network.attribution.strip()}\n")


@app.command()
def quantize(
    name: Annotated[str, typer.Argument(help="A detector, as `list` names it.", show_default=False)],
    calibration: Annotated[
        Path, typer.Option(help="Folder of pictures with faces.", exists=True, file_okay=False)
    ],
    check: Annotated[
        Path | None,
        typer.Option(
            help="Folder of other pictures to compare on. [default: every third one of --calibration]",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    home: Home = None,
) -> None:
    """Make the 8-bit variant of a detector, and keep it only if it finds what the float one finds."""
    from models import quantize as quantizing  # noqa: PLC0415 - takes a second; other commands need it not

    with _errors_shown():
        network = load_manifest()[name]
        store = _store(home)
        learnt, held_out = quantizing.split_pictures(calibration, check)
        made = quantizing.quantize_detector(network, store.path(network), learnt, held_out)
        origin = f"quantized from {network.file}, {len(learnt)} pictures"
        file = store.add_variant(network, quantizing.VARIANT, made.data, origin)
        report = file.with_name(f"{file.name}.check.json")
        report.write_text(json.dumps(made.report(), indent=1), "utf-8")
        found = made.agreement
        typer.echo(
            f"{file.name}: kept; on {found.pictures} pictures it finds {found.recall:.1%} "
            f"of {found.faces} faces, boxes overlap by {found.mean_iou:.3f}; "
            f"{found.speedup:.2f} times as fast as the float network here"
        )


@app.command()
def calibrate(
    name: Annotated[
        str, typer.Argument(help="An embedding network, as `list` names it.", show_default=False)
    ],
    pictures: Annotated[
        Path,
        typer.Option(
            help="Folder or zip file of pictures, a folder of its own for each person.", exists=True
        ),
    ],
    home: Home = None,
    *,
    flip: Annotated[
        bool, typer.Option("--flip", help="With the mean of each face and its mirror image.")
    ] = False,
) -> None:
    """Measure which cosine of an embedding network means the same person, from pictures of known people."""
    from models import calibrate as calibrating  # noqa: PLC0415 - takes a second; other commands need it not
    from models.detectors import load_detector  # noqa: PLC0415 - as above
    from models.embedder import load_embedder  # noqa: PLC0415 - as above

    with _errors_shown(), _listener() as listener:
        manifest, store = load_manifest(), _store(home)
        weights = store.path(manifest[name])
        found = calibrating.embed_people(
            pictures,
            load_detector(manifest["yunet"], store.path(manifest["yunet"])),
            load_embedder(manifest[name], weights),
            flip=flip,
            on_progress=lambda count: None if count % 500 else listener.said(f"{count} faces"),
        )
        measured = calibrating.measure(found, f"{pictures.name}, all pairs of {len(found.people)} pictures")
        file = calibrating.calibration_file(weights, flip=flip)
        file.write_text(json.dumps(asdict(measured), indent=1), "utf-8")
        typer.echo(f"{file.name}: {json.dumps(asdict(measured))}")


def _store(home: Path | None, local: Path | None = None) -> Store:
    return Store((home or default_home()) / "models", local)


def _chosen(
    manifest: Manifest, names: list[str] | tuple[()], pack: str | None, *, everything: bool = False
) -> tuple[Network, ...]:
    """Return the networks that are named, those of the pack, or what stands for nothing being named."""
    if not names and pack is None:
        return tuple(manifest.networks.values()) if everything else manifest.pack(DEFAULT_PACK)
    named = [manifest[name] for name in names]
    return tuple(dict.fromkeys((*named, *(manifest.pack(pack) if pack is not None else ()))))


def _row(network: Network, store: Store) -> dict[str, Any]:
    """Return what `list` tells of a network."""
    problem = store.problem(network)
    return {
        "name": network.name,
        "task": network.task,
        "pack": network.pack,
        "licence": network.licence,
        "commercial": network.commercial,
        "size": network.size,
        "installed": problem is None,
        "problem": problem,
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows as columns, coloured on a terminal only."""
    cells = [("NETWORK", "TASK", "PACK", "SIZE", "STATE", "LICENCE")]
    for row in rows:
        size = "" if row["size"] is None else f"{row['size'] / 1e6:.1f} MB"
        state = (
            "installed" if row["installed"] else "missing" if "not installed" in row["problem"] else "broken"
        )
        cells.append((row["name"], row["task"], row["pack"], size, state, row["licence"]))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    styles = {"installed": "green", "broken": "red", "STATE": "bold"}
    console = Console(highlight=False, soft_wrap=True)
    for line in cells:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        before, state, after = "  ".join(padded[:4]), padded[4], padded[5].rstrip()
        console.print(Text.assemble(before, "  ", (state, styles.get(line[4], "")), "  ", after))


class _Lines:
    """Tells a log how it goes: what is said, and now and then how far a long download is."""

    every_s = 5.0

    def __init__(self) -> None:
        self._told = time.monotonic()

    def said(self, text: str) -> None:
        """Print the line."""
        typer.echo(text)

    def moved(self, done: int, total: int | None) -> None:
        """Print the count, unless one was printed a moment ago."""
        if time.monotonic() - self._told >= self.every_s:
            self._told = time.monotonic()
            of = "" if total is None else f" of {total / 1e6:.1f}"
            typer.echo(f"  {done / 1e6:.1f}{of} MB")


class _Bar:
    """Draws a progress bar on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("fetching", total=None, visible=False)

    def said(self, text: str) -> None:
        """Print the line above the bar."""
        self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)
        self._progress.reset(self._task, total=None, visible=False)

    def moved(self, done: int, total: int | None) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=done, total=total, visible=True)


@contextmanager
def _listener() -> Iterator[Listener]:
    """Return a bar where someone watches, lines where a log is written."""
    if not sys.stdout.isatty():
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, transient=True) as progress:
        yield _Bar(progress)


@contextmanager
def _errors_shown() -> Iterator[None]:
    """Turn the domain's errors into a line and an exit code."""
    try:
        yield
    except FacefleetError as error:
        typer.secho(f"error: {error.message}", err=True, fg=typer.colors.RED if sys.stderr.isatty() else None)
        codes = {LicenceNotAccepted: LICENCE_REFUSED, UnknownNetwork: WRONG_USAGE}
        raise typer.Exit(codes.get(type(error), FAILED)) from error
