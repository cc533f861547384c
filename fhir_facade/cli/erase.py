"""`fhir-facade erase`: what has to be forgotten for good."""

from __future__ import annotations

from typing import Annotated

import typer

from fhir_facade.cli.session import with_ports
from fhir_facade.flows.erase import erase_patient

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Makes typer keep the name of a command that is alone."""


@app.command("patient")
def patient(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The id of the Patient.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a patient: every version of every record about her, her accounts, connections and her name in the audit."""
    if not yes:
        typer.confirm(f"Erase Patient/{id_} and everything about this person? It cannot be undone", abort=True)
    erased = with_ports(lambda ports: erase_patient(ports, id_))
    typer.echo(f"{erased.resources:>8,}  resources with all their versions")
    typer.echo(f"{erased.accounts:>8,}  accounts")
    typer.echo(f"{erased.connections:>8,}  connections to vendors")
    typer.echo(f"{erased.lines:>8,}  lines of the audit name this person no more")
    for vendor in erased.unrevoked:
        typer.echo(f"{vendor} could not be told: access has to be withdrawn in its own settings", err=True)
    typer.echo("backups made before still hold everything: erase or replace them too")
