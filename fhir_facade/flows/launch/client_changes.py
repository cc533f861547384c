"""Keeping registered apps: what is registered of them, their secret, whether they are welcome.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#register-app-with-ehr
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from fhir_facade.access.scopes import covers, parse_scopes
from fhir_facade.errors import BadRequest, NotFound
from fhir_facade.flows.launch.clients import NewClient, audit_client, check_client, client_row, put_client
from fhir_facade.flows.launch.opaque import CLIENT, digest
from fhir_facade.flows.launch.tokens import revoke_grants
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.oauth import Client, Grant


async def change_client(ports: Ports, new: NewClient, *, actor: str = "operator") -> None:
    """Replace what is registered of the client `new.id`. Its kind, its secret and the way it authenticates stay, and
    what people allowed beyond a narrower scope ends. BadRequest, NotFound."""
    check_client(new)
    now = ports.clock.now()

    def change(tx: StateTransaction) -> None:
        row = _known(tx, new.id)
        if new.kind != row.kind or bool(new.jwks or new.jwks_uri) != bool(row.jwks or row.jwks_uri):
            raise BadRequest("The type of a client and its way of authentication stay: register it anew.")
        kept = {name: getattr(row, name) for name in ("secret_hash", "registration_hash", "verified", "disabled")}
        put_client(tx, replace(client_row(new, None, row.created_at), **kept))
        end_wider(tx, now, new)
        tx.apply(Append(audit_client(now, new.id, "client changed", actor)))

    await ports.state.write(change)


def end_wider(tx: StateTransaction, now: datetime, new: NewClient) -> None:
    """End the grants that reach further than the client may."""
    limit = parse_scopes(new.scope)
    for grant in tx.find(Grant, ("client_id", "=", new.id), ("revoked_at", "=", None)):
        if not covers(limit, parse_scopes(grant.scope)):
            revoke_grants(tx, now, "client changed", ("id", "=", grant.id))


async def rotate_secret(ports: Ports, client_id: str, *, actor: str = "operator") -> str:
    """A new secret, told once; the old one is refused from now on. BadRequest for a client without one, NotFound."""
    secret = CLIENT + ports.ids.secret()

    def rotate(tx: StateTransaction) -> None:
        if _known(tx, client_id).secret_hash is None:
            raise BadRequest("This client has no secret: it is public, or authenticates with keys.")
        tx.change(Client, [("id", "=", client_id)], secret_hash=digest(secret))
        tx.apply(Append(audit_client(ports.clock.now(), client_id, "secret rotated", actor)))

    await ports.state.write(rotate)
    return secret


async def find_client(ports: Ports, client_id: str) -> Client:
    """NotFound."""
    return await ports.state.read(lambda tx: _known(tx, client_id))


async def enable_client(ports: Ports, client_id: str, *, actor: str = "operator") -> None:
    """Let a disabled client ask again; what it had before stays ended. NotFound."""

    def enable(tx: StateTransaction) -> None:
        _known(tx, client_id)
        tx.change(Client, [("id", "=", client_id)], disabled=False)
        tx.apply(Append(audit_client(ports.clock.now(), client_id, "client enabled", actor)))

    await ports.state.write(enable)


def registered(client: Client) -> NewClient:
    """What is registered of a client, to be changed and registered again."""
    return NewClient(
        id=client.id,
        kind=client.kind,
        scope=client.scope,
        name=client.name,
        redirect_uris=client.redirect_uris,
        jwks=client.jwks,
        jwks_uri=client.jwks_uri,
        launch_uri=client.launch_uri,
        logout_uris=client.logout_uris,
    )


def _known(tx: StateTransaction, client_id: str) -> Client:
    row = tx.get(Client, client_id)
    if row is None:
        raise NotFound(f"There is no client {client_id}.")
    return row
