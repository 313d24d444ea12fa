"""`facefleet completion`: what a shell needs to complete commands and options."""

from enum import Enum
from typing import Annotated

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined] # it is what --show-completion prints


class Shell(str, Enum):
    """Shells that can."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="Yours.")]) -> None:
    """Print a script for your shell's start-up file, for instance: eval "$(facefleet completion bash)"."""
    script: str = get_completion_script(
        prog_name="facefleet", complete_var="_FACEFLEET_COMPLETE", shell=shell.value
    )
    typer.echo(script)
