"""What every command shares: which service it speaks to, how it prints, and how errors become exit codes."""

from __future__ import annotations

import dataclasses
import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from app.client.call import Connection
from app.client.errors import ClientError
from app.client.sync_client import Client
from app.commands.codes import FAILED, INTERRUPTED, NOT_FOUND, WRONG_USAGE, code_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Url = Annotated[
    str | None,
    typer.Option("--url", help="Where the service answers. [FACEFLEET_URL or http://127.0.0.1:8000]"),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        help="File with the key. [FACEFLEET_KEY; a key on the command line would be seen by everybody here]",
        exists=True,
        dir_okay=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Asking:
    """What the options before the command said."""

    connection: Connection


def read_connection(url: str | None, key_file: Path | None) -> Connection:
    """Return the connection that options and environment describe."""
    connection = Connection.from_environment()
    if url:
        connection = dataclasses.replace(connection, url=url)
    if key_file:
        connection = dataclasses.replace(connection, key=key_file.read_text("utf-8").strip())
    return connection


def connection_of(context: typer.Context) -> Connection:
    """Return the connection that the root command was given."""
    found = context.find_object(Asking)
    return found.connection if found else Connection.from_environment()


@contextmanager
def client_of(context: typer.Context) -> Iterator[Client]:
    """Open a client, and turn what goes wrong into a line and an exit code."""
    with errors_shown(), Client(connection_of(context)) as client:
        yield client


@contextmanager
def errors_shown() -> Iterator[None]:
    """Turn errors into a line and an exit code."""
    try:
        yield
    except ClientError as error:
        say_error(str(error))
        raise typer.Exit(code_of(error)) from error
    except FileNotFoundError as error:
        say_error(f"{error.filename}: there is no such file")
        raise typer.Exit(NOT_FOUND) from error
    except OSError as error:
        say_error(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "))
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt:
        say_error("interrupted")
        raise typer.Exit(INTERRUPTED) from None


def say_error(text: str) -> None:
    """Print an error, red on a terminal."""
    typer.secho(f"facefleet: {text}", err=True, fg=typer.colors.RED if sys.stderr.isatty() else None)


def wrong_usage(text: str) -> NoReturn:
    """Say what makes no sense, and end."""
    say_error(text)
    raise typer.Exit(WRONG_USAGE)


def as_json(value: object) -> str:
    """Return a result as one line of JSON."""
    return json.dumps(value, default=_plain, ensure_ascii=False)


def print_json(value: object) -> None:
    """Print a result as one line of JSON."""
    typer.echo(as_json(value))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[object]], coloured: str | None = None) -> None:
    """Print rows as columns.

    Args:
        heads: of the columns.
        rows: what stands below.
        coloured: a column whose words say how something is; coloured on a terminal only.
    """
    lines = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]
    console = Console(highlight=False, soft_wrap=True)
    at = list(heads).index(coloured) if coloured else -1
    console.print(Text("  ".join(map(str.ljust, heads, widths)).rstrip(), style="bold"))
    for line in lines:
        text = Text()
        for number, (cell, width) in enumerate(zip(line, widths, strict=True)):
            text.append(cell.ljust(width), _STYLES.get(cell, "") if number == at else "")
            text.append("  ")
        text.rstrip()
        console.print(text)


_STYLES = {
    "succeeded": "green",
    "running": "cyan",
    "queued": "yellow",
    "failed": "red",
    "cancelled": "magenta",
    "enrolled": "green",
    "refused": "red",
    "ok": "green",
    "warning": "yellow",
    "bad": "red",
    "on": "green",
    "off": "red",
}


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return "-" if value is None else str(value)


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)
