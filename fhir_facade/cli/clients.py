"""`fhir-facade client`: apps that may ask for access."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_facade.cli.session import secret_from_stdin, with_ports
from fhir_facade.flows.launch.client_changes import (
    change_client,
    enable_client,
    find_client,
    registered,
    rotate_secret,
)
from fhir_facade.flows.launch.clients import NewClient, add_client, disable_client, list_clients, verify_client
from fhir_facade.flows.launch.invitations import DEFAULT_SCOPE, invitations, invite, withdraw_invitation
from fhir_facade.ports import Ports
from fhir_facade.rows.oauth import Client

app = typer.Typer(no_args_is_help=True)


@app.command("add")
def add(
    client_id: Annotated[str, typer.Option(help="The client_id the app will use.")],
    type: Annotated[str, typer.Option(help="public, confidential or backend.")],
    scope: Annotated[str, typer.Option(help="Everything the app may ever ask for.")],
    redirect_uri: Annotated[list[str] | None, typer.Option(help="Where codes go; repeat for several.")] = None,
    secret_stdin: Annotated[bool, typer.Option("--secret-stdin", help="Read the secret from standard input.")] = False,
    jwks: Annotated[Path | None, typer.Option(help="File with the app's public keys.")] = None,
    jwks_uri: Annotated[str | None, typer.Option(help="Address of the app's public keys.")] = None,
    name: Annotated[str, typer.Option(help="Name shown on the consent page.")] = "",
    launch_uri: Annotated[str | None, typer.Option(help="Where the portal starts the app (EHR launch).")] = None,
    logout_uri: Annotated[list[str] | None, typer.Option(help="Where a browser may go after signing out.")] = None,
) -> None:
    """Register an app. A confidential app without secret and keys gets a secret, printed once."""
    new = NewClient(
        id=client_id,
        kind=type,
        scope=scope,
        name=name,
        redirect_uris=tuple(redirect_uri or ()),
        secret=secret_from_stdin("the client secret") if secret_stdin else None,
        jwks=_read(jwks),
        jwks_uri=jwks_uri,
        launch_uri=launch_uri,
        logout_uris=tuple(logout_uri or ()),
    )
    secret = with_ports(lambda ports: add_client(ports, new))
    typer.echo(f"{client_id} is registered" + (f"; its secret, shown only now: {secret}" if secret else ""))


def _read(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"fhir-facade: {path} cannot be read: {error}") from error


@app.command("change")
def change(
    client_id: Annotated[str, typer.Argument(help="The client id.")],
    name: Annotated[str | None, typer.Option(help="Name shown on the consent page.")] = None,
    scope: Annotated[str | None, typer.Option(help="Everything the app may ever ask for.")] = None,
    redirect_uri: Annotated[list[str] | None, typer.Option(help="Where codes go; replaces all of them.")] = None,
    jwks: Annotated[Path | None, typer.Option(help="File with the app's public keys.")] = None,
    jwks_uri: Annotated[str | None, typer.Option(help="Address of the app's public keys.")] = None,
    launch_uri: Annotated[str | None, typer.Option(help="Where the portal starts the app (EHR launch).")] = None,
    logout_uri: Annotated[list[str] | None, typer.Option(help="Where a browser may go after signing out.")] = None,
) -> None:
    """Change what is registered of an app; what is not given stays. Grants beyond a narrower scope end."""
    keys: dict[str, Any] = {"jwks": _read(jwks), "jwks_uri": jwks_uri} if jwks or jwks_uri else {}
    lists = {"redirect_uris": redirect_uri, "logout_uris": logout_uri}
    given = {"name": name, "scope": scope, "launch_uri": launch_uri}
    changes = {key: value for key, value in given.items() if value is not None} | keys
    changes |= {key: tuple(value) for key, value in lists.items() if value}

    async def apply(ports: Ports) -> None:
        await change_client(ports, replace(registered(await find_client(ports, client_id)), **changes))

    with_ports(apply)
    typer.echo(f"{client_id} is changed")


@app.command("rotate")
def rotate(client_id: Annotated[str, typer.Argument(help="The client id.")]) -> None:
    """Print a new secret, and nothing else; the old one is refused from now on."""
    typer.echo(with_ports(lambda ports: rotate_secret(ports, client_id)))


@app.command("enable")
def enable(client_id: Annotated[str, typer.Argument(help="The client id.")]) -> None:
    """Let a disabled app ask again; what people allowed it before stays ended."""
    with_ports(lambda ports: enable_client(ports, client_id))
    typer.echo(f"{client_id} is enabled")


@app.command("verify")
def verify(client_id: Annotated[str, typer.Argument(help="The client id.")]) -> None:
    """Say that you looked at an app that registered itself: consent pages warn no more."""
    with_ports(lambda ports: verify_client(ports, client_id))
    typer.echo(f"{client_id} is verified")


@app.command("invite")
def invite_(
    name: Annotated[str, typer.Option(help="For whom; a word to recognise the token by.")],
    scope: Annotated[str, typer.Option(help="The most that apps registered with it may ask for.")] = DEFAULT_SCOPE,
    uses: Annotated[int, typer.Option(help="How many apps it registers.")] = 1,
    days: Annotated[int, typer.Option(help="How long it can be used.")] = 7,
) -> None:
    """Print an initial access token with which apps register themselves at /oauth/register, and nothing else."""
    typer.echo(with_ports(lambda ports: invite(ports, name=name, scope=scope, uses=uses, days=days)))


@app.command("invitations")
def invitations_() -> None:
    """List initial access tokens: id, for whom, uses left, until when, scopes."""
    for row in with_ports(invitations, recorded="invitations listed"):
        until = row.expires_at.isoformat(timespec="minutes")
        typer.echo("\t".join((row.id, row.name, str(row.uses_left), until, row.scope)))


@app.command("uninvite")
def uninvite(token_id: Annotated[str, typer.Argument(help="The id that `invitations` shows.")]) -> None:
    """Withdraw an initial access token; the apps registered with it stay."""
    with_ports(lambda ports: withdraw_invitation(ports, token_id))
    typer.echo(f"{token_id} registers no more apps")


@app.command("list")
def list_() -> None:
    """List apps: client id, type, scopes, state."""
    for client in with_ports(list_clients, recorded="clients listed"):
        typer.echo("\t".join((client.id, client.kind, client.scope, _state(client))))


def _state(client: Client) -> str:
    if client.disabled:
        return "disabled"
    return "enabled" if client.verified else "unverified"


@app.command("disable")
def disable(client_id: Annotated[str, typer.Argument(help="The client id.")]) -> None:
    """Disable an app: its grants and tokens end."""
    with_ports(lambda ports: disable_client(ports, client_id))
    typer.echo(f"{client_id} is disabled")
