"""`facefleet library import`: everybody in a list, with a verdict for each picture."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.codes import DONE, FAILED, SOME_FAILED
from app.commands.running import AsJson, client_of, print_json, print_table
from app.commands.sending import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.client.sync_client import Client
    from app.client.task_results import ImportedRow, Task

REFUSED = "refused"


def import_people(  # noqa: PLR0913 - each is an option
    context: typer.Context,
    library_id: Annotated[str, typer.Argument(help="A library.")],
    source: Annotated[str, typer.Argument(help="A CSV or a ZIP: a file, or an address.")],
    callback_url: Annotated[str | None, typer.Option(help="Who is told of the end.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key and address are the same import.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(min=0, help="Wait for this many seconds at most.")] = None,
    *,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Return when it has ended.")] = True,
    refused_only: Annotated[bool, typer.Option(help="Print no verdicts of who was enrolled.")] = False,
    json: AsJson = False,
) -> None:
    """Enrol everybody in a CSV or a ZIP: exit code 0 if all were, 8 if some were refused, 1 if it failed."""
    with client_of(context) as client:
        made = client.libraries.import_people(
            library_id,
            address_of(client, source),
            callback_url=callback_url,
            idempotency_key=idempotency_key,
        )
        if not wait:
            print_json(made) if json else typer.echo(made.task_id)
            return
        # Whoever stops waiting needs it: the import itself goes on.
        typer.echo(f"{made.task_id} {made.status}", err=True)
        ended = _ended(client, made.task_id, timeout, quietly=json)
        rows = _rows(client, ended) if ended.status == "succeeded" else iter(())
        shown = [row for row in rows if row.status == REFUSED or not refused_only]
        _print(ended, shown, as_lines=json)
        raise typer.Exit(_code(ended))


def _ended(client: "Client", task_id: str, timeout_s: float | None, *, quietly: bool) -> "Task":
    for task in client.tasks.watch(task_id, timeout_s):
        if not (task.has_ended or quietly):
            typer.echo(f"{task.status} {task.progress:.0%}", err=True)
    return task


def _rows(client: "Client", task: "Task") -> "Iterator[ImportedRow]":
    for page in client.tasks.result_pages(task.task_id):
        yield from page.rows


def _print(task: "Task", rows: "list[ImportedRow]", *, as_lines: bool) -> None:
    summary = task.result.summary if task.result else None
    if as_lines:
        for row in rows:
            print_json(row)
        counts = (
            {"rows": summary.rows, "enrolled": summary.enrolled, "refused": summary.refused}
            if summary
            else None
        )
        print_json({"task_id": task.task_id, "status": task.status, "summary": counts, "error": task.error})
        return
    if rows:
        print_table(
            ["ROW", "PERSON", "PICTURE", "VERDICT", "WHY"],
            [[row.row, row.person_id, row.image, row.status, row.message] for row in rows],
            coloured="VERDICT",
        )
    if summary:
        typer.echo(f"{task.task_id} {task.status}, {summary.enrolled} enrolled, {summary.refused} refused")
    else:
        why = f": {task.error.message} ({task.error.code})" if task.error else ""
        typer.echo(f"{task.task_id} {task.status}{why}")


def _code(task: "Task") -> int:
    if task.status != "succeeded" or task.result is None:
        return FAILED
    return SOME_FAILED if task.result.summary.refused else DONE
