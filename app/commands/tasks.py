"""`facefleet task`: analyses in the background, from a file of yours or an address."""

import json as standard_json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from app.client.media_types import media_type_of
from app.commands.codes import DONE, FAILED
from app.commands.running import AsJson, as_json, client_of, print_json, print_table, wrong_usage
from app.commands.sending import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from app.client.task_calls import MediaType, TaskFields
    from app.client.task_results import Task

tasks_app = typer.Typer(
    name="task",
    help="Analyse videos, pictures and animations in the background.",
    no_args_is_help=True,
    add_completion=False,
)

TaskId = Annotated[str, typer.Argument(help="As `task create` printed it.")]
Timeout = Annotated[float | None, typer.Option(min=0, help="Give up waiting after this many seconds.")]


@tasks_app.command()
def create(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A file, or an address: https://, s3://, upload://")],
    media_type: Annotated[str | None, typer.Option("--type", help="video, image or gif; by the name")] = None,
    sample_rate: Annotated[int | None, typer.Option(min=1, max=30, help="Frames a second.")] = None,
    start_time: Annotated[float | None, typer.Option(min=0, help="Seconds.")] = None,
    end_time: Annotated[float | None, typer.Option(min=0, help="Seconds.")] = None,
    min_face_size: Annotated[int | None, typer.Option(min=0, help="Pixels.")] = None,
    confidence: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    attributes: Annotated[str, typer.Option(help="age,gender,emotion,pose,glasses,mask,quality")] = "",
    library: Annotated[str | None, typer.Option(help="Recognise people of this library.")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, max=10, help="Matches for each face.")] = None,
    callback_url: Annotated[str | None, typer.Option(help="Who is told of the end.")] = None,
    metadata: Annotated[str | None, typer.Option(help="JSON object, echoed in the result.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key is the same task.")] = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it has ended.")] = False,
    json: AsJson = False,
) -> None:
    """Queue an analysis; a file is sent first, in parts."""
    kind = cast("MediaType", media_type or media_type_of(source))
    if kind not in {"video", "image", "gif"}:
        wrong_usage(f"{source}: say with --type whether it is a video, an image or a gif")
    given = {
        "sample_rate": sample_rate,
        "start_time": start_time,
        "end_time": end_time,
        "min_face_size": min_face_size,
        "confidence_threshold": confidence,
        "attributes": [name.strip() for name in attributes.split(",") if name.strip()] or None,
        "library_id": library,
        "recognize": None if library is None else 1,
        "top_k": top_k,
        "callback_url": callback_url,
        "metadata": _object(metadata),
    }
    fields: TaskFields = {name: value for name, value in given.items() if value is not None}  # type: ignore[assignment] # the names are those of the fields
    with client_of(context) as client:
        made = client.tasks.create(
            kind, address_of(client, source), idempotency_key=idempotency_key, **fields
        )
        if wait:
            _end(client.tasks.wait(made.task_id), as_lines=json)
        elif json:
            print_json(made)
        else:
            typer.echo(made.task_id)


@tasks_app.command()
def watch(context: typer.Context, task_id: TaskId, timeout: Timeout = None, *, json: AsJson = False) -> None:
    """Follow a task to its end: exit code 0 if it succeeded, 1 if not."""
    with client_of(context) as client:
        for task in client.tasks.watch(task_id, timeout):
            if not task.has_ended:
                if json:
                    print_json(task)
                else:
                    typer.echo(f"{task.status} {task.progress:.0%}")
        _end(task, as_lines=json)


@tasks_app.command()
def cancel(context: typer.Context, task_id: TaskId, *, json: AsJson = False) -> None:
    """End a task that waits or runs."""
    with client_of(context) as client:
        ended = client.tasks.cancel(task_id)
        print_json(ended) if json else typer.echo(f"{ended.task_id} {ended.status}")


@tasks_app.command()
def delete(context: typer.Context, task_id: TaskId) -> None:
    """Remove a task with its result and what was uploaded for it."""
    with client_of(context) as client:
        client.tasks.delete(task_id)
        typer.echo(f"{task_id} removed")


@tasks_app.command()
def result(
    context: typer.Context,
    task_id: TaskId,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A file instead of the screen.")] = None,
) -> None:
    """Print what a task found as JSON: one line a frame, however many there are."""
    with client_of(context) as client:
        unfinished = out.with_name(f"{out.name}.part") if out else None
        with unfinished.open("w", encoding="utf-8") if unfinished else _stdout() as stream:
            for frame in client.tasks.frames(task_id):
                stream.write(as_json(frame) + "\n")
        if out and unfinished:
            unfinished.replace(out)


@tasks_app.command("list")
def list_tasks(
    context: typer.Context,
    status: Annotated[str | None, typer.Option(help="queued, running, succeeded, failed, cancelled")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest this many.")] = 20,
    *,
    json: AsJson = False,
) -> None:
    """List your tasks, newest first."""
    with client_of(context) as client:
        found = list(client.tasks.each(status=status, most=limit))
        if json:
            for task in found:
                print_json(task)
            return
        print_table(
            ["TASK", "STATUS", "TYPE", "PROGRESS", "CREATED", "MEDIA"],
            [
                [
                    each.task_id,
                    each.status,
                    each.type,
                    f"{each.progress:.0%}",
                    each.created_at,
                    each.media.url,
                ]
                for each in found
            ],
            coloured="STATUS",
        )


def _end(task: "Task", *, as_lines: bool) -> None:
    if as_lines:
        print_json(task)
    else:
        faces = f", {task.result.summary.total_faces} faces" if task.result else ""
        why = f": {task.error.message} ({task.error.code})" if task.error else ""
        typer.echo(f"{task.task_id} {task.status}{faces}{why}")
    raise typer.Exit(DONE if task.status == "succeeded" else FAILED)


def _object(text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        value = standard_json.loads(text)
    except ValueError as error:
        wrong_usage(f"--metadata is no JSON: {error}")
    if not isinstance(value, dict):
        wrong_usage("--metadata must be a JSON object")
    return value


@contextmanager
def _stdout() -> "Iterator[TextIO]":
    yield sys.stdout
