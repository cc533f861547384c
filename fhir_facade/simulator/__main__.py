"""`python -m fhir_facade.simulator`: run the vendor simulator on loopback. See docs/vendor-simulator.md."""

from __future__ import annotations

import socket
from datetime import datetime
from typing import Annotated

import typer
import uvicorn

from fhir_facade.simulator.app import DEFAULT_CLIENT, create_simulator, utc_now
from fhir_facade.simulator.faults import Fault, Faults, fault_from
from fhir_facade.simulator.grants import VendorClient


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8082,
    client_id: Annotated[str, typer.Option(help="The registered client.")] = DEFAULT_CLIENT.client_id,
    client_secret: Annotated[str, typer.Option(help="Its secret.")] = DEFAULT_CLIENT.client_secret,
    redirect_uri: Annotated[list[str] | None, typer.Option(help="Allowed redirect URIs; none: every one.")] = None,
    now: Annotated[str | None, typer.Option(help="Stop the clock here, for example 2026-11-21T12:00:00+00:00.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="A fault to begin with, as JSON; see the docs.")] = None,
) -> None:
    """Run the vendor simulator: Google OAuth 2.0 and Google Health API v4 with invented people."""
    frozen = None if now is None else _moment(now)
    app = create_simulator(
        clock=utc_now if frozen is None else lambda: frozen,
        clients=[VendorClient(client_id, client_secret, tuple(redirect_uri or ()))],
        faults=[_fault(text) for text in fault or ()],
    )
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise SystemExit(f"fhir-facade: cannot listen on {host}:{port}: {error.strerror}") from error
        listener.listen()  # before the address is told: whoever reads it may call at once
        typer.echo(f"vendor simulator: http://{host}:{listener.getsockname()[1]}")
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text} is not a moment such as 2026-11-21T12:00:00+00:00") from error
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{text} has no offset; write for example {text}+00:00")
    return moment


def _fault(text: str) -> Fault:
    try:
        fault = fault_from(text)
        Faults().add(fault)
    except ValueError as error:
        raise typer.BadParameter(f"{text} is not a fault: {error}") from error
    return fault


if __name__ == "__main__":
    typer.run(serve)
