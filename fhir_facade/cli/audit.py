"""`fhir-facade audit`: whether the record of who looked at what is as it was written, and its copy in HAPI."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fhir_facade.cli.session import CONSOLE, with_ports
from fhir_facade.errors import BadRequest
from fhir_facade.flows.audit_chain import drop_old, seal, verify
from fhir_facade.flows.audit_copy import copy, due
from fhir_facade.interactions.audit import record_operator
from fhir_facade.ports import Ports
from fhir_facade.settings import Settings

app = typer.Typer(no_args_is_help=True)


@app.command("verify")
def verify_(
    head: Annotated[
        str | None, typer.Option(help="A head that an earlier verification showed: it has to be there still.")
    ] = None,
) -> None:
    """Walk the whole chain of seals. Leaves with 1 when a line or a seal was changed, removed or added."""
    found = with_ports(lambda ports: verify(ports, expected=head), recorded="audit verified")
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


@app.command("prune")
def prune() -> None:
    """Drop the lines that were kept long enough now; a running server does so by itself. The chain still holds."""
    typer.echo(f"{with_ports(drop_old, recorded='audit pruned'):,} lines dropped; their seals stay")


@app.command("copy")
def copy_(
    again: Annotated[bool, typer.Option("--again", help="From the first line on, also what was copied.")] = False,
) -> None:
    """Copy the sealed lines into HAPI as AuditEvents, where the last copy ended. Repeating it changes nothing."""
    if Settings().store != "hapi":
        raise BadRequest("the audit is copied into HAPI; on the embedded store its AuditEvents are at /fhir/AuditEvent")
    typer.echo(f"{with_ports(lambda ports: _copied(ports, again)):,} lines copied")


async def _copied(ports: Ports, again: bool) -> int:
    await record_operator(ports, "export", "audit copied into the store" + (" from its beginning" if again else ""))
    await seal(ports)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=CONSOLE, transient=True) as progress:
        task = progress.add_task("copy", total=await due(ports, again=again))
        return await copy(ports, again=again, tell=lambda count: progress.advance(task, count))
