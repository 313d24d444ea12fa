"""`facefleet bulk`: thousands of videos in, tables out."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.bulk.clock import duration
from app.bulk.errors import BadManifest, BadRows, BulkError, FolderTaken, MissingPackage, Stopped
from app.bulk.failures import NAME
from app.bulk.folder import PART_ROWS, Wanted
from app.bulk.job import JobEnd, Manner, run_job
from app.bulk.parts import FORMATS
from app.bulk.progress import open_board
from app.bulk.rows import read_defaults
from app.client.errors import ClientError
from app.commands.codes import DONE, FAILED, FOLDER_TAKEN, INTERRUPTED, SOME_FAILED, WRONG_USAGE, code_of
from app.commands.running import AsJson, connection_of, errors_shown, print_json, say_error, wrong_usage

if TYPE_CHECKING:
    from app.client.call import Connection

#: Starts a service of the job's own in its folder, and stops it when the block ends.
LocalService = Callable[[Path], "AbstractContextManager[Connection]"]

Out = Annotated[Path, typer.Option("--out", "-o", help="The job's folder; the same one goes on with it.")]


def bulk_commands(local_service: LocalService) -> typer.Typer:
    """Return the commands.

    Args:
        local_service: what `--local` starts.
    """
    app = typer.Typer(
        name="bulk", help="Analyse thousands of files.", no_args_is_help=True, add_completion=False
    )

    @app.command()
    def run(  # noqa: PLR0913, PLR0917 - each is an option
        context: typer.Context,
        manifest: Annotated[
            str, typer.Argument(help="CSV, JSONL, Parquet, a folder, a 'glob', s3://prefix.")
        ],
        out: Out,
        options: Annotated[
            list[str] | None,
            typer.Option("--set", help="name=value: an option of every task that its row does not give."),
        ] = None,
        file_format: Annotated[str, typer.Option("--format", help="parquet or jsonl")] = "parquet",
        concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Tasks under way, at most.")] = 64,
        patience: Annotated[float, typer.Option(min=0, help="Seconds that the service may be away.")] = 1800,
        retries: Annotated[int, typer.Option(min=0, help="New tasks for one the service broke at.")] = 2,
        part_rows: Annotated[int, typer.Option(min=1, help="Rows of the manifest in a part.")] = PART_ROWS,
        *,
        skip_bad_rows: Annotated[bool, typer.Option(help="Leave out rows that cannot be used.")] = False,
        ignore_other_columns: Annotated[bool, typer.Option(help="Read over unknown columns.")] = False,
        forget: Annotated[bool, typer.Option(help="Remove tasks and uploads once results are here.")] = False,
        local: Annotated[bool, typer.Option(help="Start a service for this job, and stop it after.")] = False,
        json: AsJson = False,
    ) -> None:
        """Analyse everything in a manifest; the same command goes on after a break.

        Exit codes: 0 all rows succeeded; 8 all are done and some failed; 2 the manifest cannot be used;
        4 the key opens nothing; 6 stopped, the same command goes on; 9 the folder belongs to another job.
        """
        if file_format not in FORMATS:
            wrong_usage(f"--format: there is {', '.join(FORMATS)}")
        with _bulk_errors_shown(out), open_board() as (board, every_s):
            connection = connection_of(context)
            wanted = Wanted(
                manifest,
                "local" if local else connection.origin,
                read_defaults(options or ()),
                file_format,
                ignore_other_columns,
                skip_bad_rows,
                part_rows,
            )
            manner = Manner(concurrency, patience, retries, forget, every_s)
            service = local_service(out) if local else None
            end = run_job(out, wanted, service or connection, board, manner)
        _tell(end, out, as_lines=json)

    @app.command()
    def report(
        out: Annotated[Path, typer.Argument(help="A job's folder.", exists=True, file_okay=False)],
        page: Annotated[Path | None, typer.Option(help="Where to write it. [report.html in it]")] = None,
    ) -> None:
        """Draw a page about a job that opens in a browser, also without a network."""
        from app.bulk.report import write_report  # noqa: PLC0415 - only here

        with _bulk_errors_shown(out):
            target = page or out / "report.html"
            write_report(out, target)
            typer.echo(str(target))

    return app


def _tell(end: JobEnd, out: Path, *, as_lines: bool) -> None:
    if as_lines:
        print_json(
            {
                "out": str(out),
                "rows": end.job.rows,
                "succeeded": end.done,
                "failed": end.failed,
                "faces": end.faces,
                "media_s": round(end.media_s, 3),
                "failures": str(out / NAME) if end.failed else None,
            }
        )
    else:
        media = f", {duration(end.media_s)} of media" if end.media_s else ""
        typer.echo(f"{end.done:,} of {end.job.rows:,} rows succeeded{media}, {end.faces:,} faces: {out}")
        if end.failed:
            typer.echo(f"{end.failed:,} failed; {out / NAME} says why, and is a manifest of them")
    raise typer.Exit(SOME_FAILED if end.failed else DONE)


@contextmanager
def _bulk_errors_shown(out: Path) -> Iterator[None]:
    # A shell has what it starts in the background ignore Ctrl-C, and SIGTERM would be ignored with it.
    interrupted = signal.signal(signal.SIGINT, signal.default_int_handler)
    ended = signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        with errors_shown():
            yield
    except Stopped as error:
        say_error(f"stopped: {error}\nThe same command goes on with {out}.")
        cause = error.__cause__
        raise typer.Exit(code_of(cause) if isinstance(cause, ClientError) else FAILED) from error
    except (BadManifest, BadRows, MissingPackage) as error:
        say_error(str(error))
        raise typer.Exit(WRONG_USAGE) from error
    except FolderTaken as error:
        say_error(str(error))
        raise typer.Exit(FOLDER_TAKEN) from error
    except BulkError as error:
        say_error(str(error))
        raise typer.Exit(FAILED) from error
    except typer.Exit as end:
        if end.exit_code == INTERRUPTED:
            sys.stderr.write(f"The same command goes on with {out}.\n")
        raise
    finally:
        signal.signal(signal.SIGTERM, ended)
        signal.signal(signal.SIGINT, interrupted)


def _as_interrupt(*_: object) -> None:
    """End on SIGTERM as on Ctrl-C: what is under way is noted and left for the next run.

    An exception raised here would be lost where it meets a finalizer; asyncio's own handler cancels the job.
    """
    signal.raise_signal(signal.SIGINT)
