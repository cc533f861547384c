"""`fhir-facade user`: accounts that can sign in."""

from __future__ import annotations

from typing import Annotated

import typer

from fhir_facade.cli.session import secret_from_stdin, with_ports
from fhir_facade.flows.accounts import NewAccount, add_account, change_account, disable_account, list_accounts
from fhir_facade.flows.password_links import link_to_choose, make_password_link
from fhir_facade.flows.registry import named_account
from fhir_facade.ports import Ports
from fhir_facade.settings import Settings

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
    email: Annotated[str | None, typer.Option(help="Where notices about the account go.")] = None,
    language: Annotated[str, typer.Option(help="Language of these notices: en or de.")] = "en",
) -> None:
    """Add an account."""
    password = secret_from_stdin("the password")
    ids = (patient, practitioner, zone, related_person, organization)
    new = NewAccount(username, role, password, *ids, email=email, language=language)
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


@app.command("enable")
def enable(username: Annotated[str, typer.Argument(help="The user name.")]) -> None:
    """Let a disabled account sign in again; what apps were allowed stays ended."""

    async def again(ports: Ports) -> None:
        account = await named_account(ports, username)
        await change_account(ports, account.id, disabled=False, actor="operator")

    with_ports(again)
    typer.echo(f"{username} is enabled")


@app.command("address")
def address(
    username: Annotated[str, typer.Argument(help="The user name.")],
    email: Annotated[str, typer.Argument(help="Where notices go; an empty text takes the address away.")],
) -> None:
    """Say where notices about an account go."""

    async def keep(ports: Ports) -> None:
        account = await named_account(ports, username)
        await change_account(ports, account.id, email=email, actor="operator")

    with_ports(keep)
    typer.echo(f"notices to {username} go to {email}" if email else f"{username} gets no notices")


@app.command("link")
def link(username: Annotated[str, typer.Argument(help="The user name.")]) -> None:
    """Print a link with which the person chooses a new password, once and within a day, and nothing else."""

    async def make(ports: Ports) -> str:
        return await make_password_link(ports, (await named_account(ports, username)).id)

    typer.echo(link_to_choose(Settings().base_url, with_ports(make)))
