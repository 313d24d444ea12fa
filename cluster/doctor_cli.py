"""`facefleet doctor`."""

import os

import typer
from pydantic import ValidationError

from app.commands.codes import DONE, FAILED, WRONG_USAGE
from app.commands.running import AsJson, print_json, print_table, say_error
from app.settings import Settings
from cluster.doctor import BAD, OK, examine


def doctor(*, json: AsJson = False) -> None:
    """Tell what is wrong on this machine and how to mend it: exit code 1 where the service could not run."""
    try:
        settings = Settings()
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False):
            say_error(f"FACE_API_{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}")
        raise typer.Exit(WRONG_USAGE) from None
    findings = examine(settings, os.environ)
    if json:
        print_json(findings)
    else:
        print_table(
            ["CHECK", "STATE", "SEEN"],
            [(found.check, found.state, found.text) for found in findings],
            "STATE",
        )
        for found in findings:
            if found.state != OK and found.mend:
                typer.echo(f"{found.check}: {found.mend}")
    raise typer.Exit(FAILED if any(found.state == BAD for found in findings) else DONE)
