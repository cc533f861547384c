"""`fhir-facade keys`: the numbered keys of the key file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_facade.adapters.keys import create_key_file
from fhir_facade.adapters.system_clock import SystemClock

app = typer.Typer(no_args_is_help=True)


@app.command("new")
def new(file: Annotated[Path, typer.Argument(help="Where to write it; it must not exist.")]) -> None:
    """Make a key file with one key, readable by you only."""
    create_key_file(file, SystemClock())
    typer.echo(f"{file} holds one key; keep a copy, without it sealed tokens are lost")
