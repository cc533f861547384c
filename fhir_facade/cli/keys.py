"""`fhir-facade keys`: the numbered keys of the key file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_facade.adapters.keys import KeyFile, create_key_file
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.cli.session import with_ports
from fhir_facade.flows.keys import rotate_keys
from fhir_facade.flows.launch.keys import AHEAD, rotate_signing_key
from fhir_facade.settings import Settings

app = typer.Typer(no_args_is_help=True)


@app.command("new")
def new(file: Annotated[Path, typer.Argument(help="Where to write it; it must not exist.")]) -> None:
    """Make a key file with one key, readable by you only."""
    create_key_file(file, SystemClock())
    typer.echo(f"{file} holds one key; keep a copy, without it sealed tokens are lost")


@app.command("rotate")
def rotate() -> None:
    """Add a newest key and seal everything again under it, also beside a running server. The old keys stay."""
    path = Settings().keys_path
    rotation = with_ports(lambda ports: rotate_keys(ports, KeyFile(path, SystemClock())))
    typer.echo(f"key {rotation.number} of {path} is the newest; servers take it up by themselves")
    for table, count in sorted(rotation.resealed.items()):
        typer.echo(f"{count:>8}  {table} sealed again")
    for table, count in sorted(rotation.unreadable.items()):
        typer.echo(f"{count:>8}  {table} that no key of the file opens", err=True)
    if rotation.unreadable:
        raise typer.Exit(1)


@app.command("rotate-signing")
def rotate_signing() -> None:
    """Publish a new key for id_tokens and sign with it ten minutes later; happens by itself every 90 days."""
    kid = with_ports(rotate_signing_key, recorded="signing key rotated")
    typer.echo(f"key {kid} is published; id_tokens are signed with it in {AHEAD.seconds // 60} minutes")
