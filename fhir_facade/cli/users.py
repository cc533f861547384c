"""`fhir-facade user`: accounts that can sign in."""

from __future__ import annotations

from typing import Annotated

import typer

from fhir_facade.cli.session import secret_from_stdin, with_ports
from fhir_facade.flows.accounts import NewAccount, add_account, disable_account, list_accounts

app = typer.Typer(no_args_is_help=True)


@app.command("add")
def add(
    username: Annotated[str, typer.Option(help="What the person types to sign in.")],
    role: Annotated[str, typer.Option(help="patient, proxy, practitioner, staff or admin.")],
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")],
    patient: Annotated[str | None, typer.Option(help="Patient id of a patient account.")] = None,
    practitioner: Annotated[str | None, typer.Option(help="Practitioner id of a practitioner account.")] = None,
    related_person: Annotated[str | None, typer.Option(help="RelatedPerson id of a proxy account.")] = None,
    organization: Annotated[str | None, typer.Option(help="Organization id of a staff account.")] = None,
    zone: Annotated[str, typer.Option(help="IANA time zone of the person, e.g. Europe/Berlin.")] = "UTC",
) -> None:
    """Add an account."""
    password = secret_from_stdin("the password")
    new = NewAccount(username, role, password, patient, practitioner, zone, related_person, organization)
    with_ports(lambda ports: add_account(ports, new))
    typer.echo(f"{username} can sign in as {role}")


@app.command("list")
def list_() -> None:
    """List accounts: user name, role, person, state."""
    for account in with_ports(list_accounts, recorded="accounts listed"):
        ids = (account.patient_id, account.practitioner_id, account.related_person_id, account.organization_id)
        person = next(filter(None, ids), "-")
        typer.echo("\t".join((account.username, account.role, person, "disabled" if account.disabled else "enabled")))


@app.command("disable")
def disable(username: Annotated[str, typer.Argument(help="The user name.")]) -> None:
    """Disable an account: its sessions, grants and tokens end."""
    with_ports(lambda ports: disable_account(ports, username))
    typer.echo(f"{username} is disabled")
