"""`python -m fhir_facade.simulator`: run the vendor simulator on loopback. See docs/vendor-simulator.md."""

from __future__ import annotations

import json
import socket
from datetime import datetime
from typing import Annotated

import typer
import uvicorn

from fhir_facade.simulator.app import DEFAULT_CLIENT, create_simulator, utc_now
from fhir_facade.simulator.faults import Fault
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
    frozen = datetime.fromisoformat(now) if now else None
    app = create_simulator(
        clock=(lambda: frozen) if frozen else utc_now,
        clients=[VendorClient(client_id, client_secret, tuple(redirect_uri or ()))],
        faults=[Fault(**json.loads(text)) for text in fault or ()],
    )
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()  # before the address is told: whoever reads it may call at once
        typer.echo(f"vendor simulator: http://{host}:{listener.getsockname()[1]}")
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    typer.run(serve)
