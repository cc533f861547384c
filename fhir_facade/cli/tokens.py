"""`fhir-facade token`: a short-lived access token for trying things."""

from __future__ import annotations

from typing import Annotated

import typer

from fhir_facade.cli.session import with_ports
from fhir_facade.flows.launch.tokens import mint_token


def token(
    scope: Annotated[str, typer.Option(help='SMART scopes, e.g. "system/*.cruds" or "patient/*.rs".')],
    patient: Annotated[str | None, typer.Option(help="Id of the patient in context.")] = None,
    user: Annotated[str | None, typer.Option(help="User it acts for; it dies when the user is disabled.")] = None,
    minutes: Annotated[int, typer.Option(help="How long it is valid.")] = 60,
) -> None:
    """Print an access token, and nothing else."""
    made = with_ports(lambda ports: mint_token(ports, scope=scope, patient=patient, username=user, minutes=minutes))
    typer.echo(made)
