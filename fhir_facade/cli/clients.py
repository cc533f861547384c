"""`fhir-facade client`: apps that may ask for access."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhir_facade.cli.session import secret_from_stdin, with_ports
from fhir_facade.flows.launch.clients import NewClient, add_client, disable_client, list_clients

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


@app.command("list")
def list_() -> None:
    """List apps: client id, type, scopes, state."""
    for client in with_ports(list_clients):
        typer.echo("\t".join((client.id, client.kind, client.scope, "disabled" if client.disabled else "enabled")))


@app.command("disable")
def disable(client_id: Annotated[str, typer.Argument(help="The client id.")]) -> None:
    """Disable an app: its grants and tokens end."""
    with_ports(lambda ports: disable_client(ports, client_id))
    typer.echo(f"{client_id} is disabled")
