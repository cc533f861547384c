"""`fhir-facade audit`: whether the record of who looked at what is as it was written."""

from __future__ import annotations

from typing import Annotated

import typer

from fhir_facade.cli.session import with_ports
from fhir_facade.flows.audit_chain import seal, verify

app = typer.Typer(no_args_is_help=True)


@app.command("verify")
def verify_(
    head: Annotated[
        str | None, typer.Option(help="A head that an earlier verification showed: it has to be there still.")
    ] = None,
) -> None:
    """Walk the whole chain of seals. Leaves with 1 when a line or a seal was changed, removed or added."""
    found = with_ports(lambda ports: verify(ports, expected=head))
    typer.echo(f"{found.lines:>10,}  lines under {found.seals:,} seals")
    typer.echo(f"{found.erased:>10,}  of them name an erased patient no more")
    typer.echo(f"{found.dropped:>10,}  older lines, dropped after the time lines are kept")
    typer.echo(f"{found.unsealed:>10,}  new lines, not sealed yet")
    for problem in found.problems:
        typer.echo(f"tampered: {problem}", err=True)
    if found.problems:
        raise typer.Exit(1)
    typer.echo("nothing was tampered with")
    if found.head:
        typer.echo(f"head {found.head}: note it elsewhere, and give it back with --head")


@app.command("seal")
def seal_() -> None:
    """Seal all lines now; a running server does so every ten seconds."""
    typer.echo(f"{with_ports(seal):,} lines sealed")
