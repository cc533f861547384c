"""Registered apps: public, confidential and backend clients, and how each of them may authenticate.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#register-app-with-ehr
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from fhir_facade.access.scopes import ScopeSet, parse_scopes
from fhir_facade.errors import BadRequest, Conflict, NotFound
from fhir_facade.flows.launch.client_keys import parse_key_set
from fhir_facade.flows.launch.opaque import CLIENT, digest
from fhir_facade.flows.launch.redirects import LOOPBACK_HOSTS, parse_redirect_uri
from fhir_facade.flows.launch.tokens import revoke_grants
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append, Put, Remove
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import Client, ClientOrigin

KINDS: Final = ("public", "confidential", "backend")
SHORTEST_SECRET: Final = 8
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,127}")
_SECRET: Final = re.compile(rf"[\x21-\x7e]{{{SHORTEST_SECRET},256}}")


@dataclass(frozen=True, slots=True)
class NewClient:
    """A registration as asked for. A confidential client without `secret` and keys gets a generated secret."""

    id: str
    kind: str
    scope: str
    name: str = ""
    redirect_uris: tuple[str, ...] = ()
    secret: str | None = None
    jwks: str | None = None
    jwks_uri: str | None = None
    launch_uri: str | None = None
    logout_uris: tuple[str, ...] = ()


async def add_client(ports: Ports, new: NewClient, *, actor: str = "operator") -> str | None:
    """Register a client. Returns the generated secret, once, or None. BadRequest, or Conflict when the id is
    taken."""
    check_client(new)
    generated = _generated_secret(ports, new)
    row = client_row(new, generated or new.secret, ports.clock.now())

    def register(tx: StateTransaction) -> None:
        if tx.get(Client, new.id) is not None:
            raise Conflict(f"There is a client {new.id} already; choose another id, or change that one.")
        if tx.get(Account, new.id) is not None:
            raise Conflict(f"{new.id} is the id of a person: a token could not say which of the two it stands for.")
        put_client(tx, row)
        tx.apply(Append(audit_client(ports.clock.now(), new.id, "client added", actor)))

    await ports.state.write(register)
    return generated


def client_row(new: NewClient, secret: str | None, now: datetime) -> Client:
    """The row of a registration that was checked."""
    return Client(
        id=new.id,
        kind=new.kind,
        scope=" ".join(new.scope.split()),
        created_at=now,
        name=new.name or new.id,
        redirect_uris=new.redirect_uris,
        secret_hash=None if secret is None else digest(secret),
        jwks=new.jwks,
        jwks_uri=new.jwks_uri,
        launch_uri=new.launch_uri,
        logout_uris=new.logout_uris,
    )


def put_client(tx: StateTransaction, row: Client) -> None:
    """Write a client, new or changed, with the web origins its scripts may call from."""
    old = tx.find(ClientOrigin, ("client_id", "=", row.id))
    tx.apply(*(Remove(ClientOrigin, (origin.origin, row.id)) for origin in old))
    tx.apply(Put(row), *(Put(origin) for origin in _origins(row)))


async def verify_client(ports: Ports, client_id: str, *, actor: str = "operator") -> None:
    """Somebody who runs this server looked at an app that registered itself: consent pages warn no more. NotFound."""

    def verify(tx: StateTransaction) -> None:
        if not tx.change(Client, [("id", "=", client_id)], verified=True):
            raise NotFound(f"There is no client {client_id}.")
        tx.apply(Append(audit_client(ports.clock.now(), client_id, "client verified", actor)))

    await ports.state.write(verify)


async def list_clients(ports: Ports) -> Sequence[Client]:
    """All clients, disabled ones included, by id."""
    return await ports.state.read(lambda tx: tx.find(Client, order=("id",)))


async def disable_client(ports: Ports, client_id: str, *, actor: str = "operator") -> None:
    """Refuse the client from now on and end every grant and token it has. NotFound."""

    def disable(tx: StateTransaction) -> None:
        disable_in(tx, ports.clock.now(), client_id, actor)

    await ports.state.write(disable)


def disable_in(tx: StateTransaction, now: datetime, client_id: str, actor: str) -> None:
    """The same in a transaction that does more. NotFound."""
    if not tx.change(Client, [("id", "=", client_id)], disabled=True):
        raise NotFound(f"There is no client {client_id}.")
    revoke_grants(tx, now, "client disabled", ("client_id", "=", client_id))
    tx.apply(Append(audit_client(now, client_id, "client disabled", actor)))


async def origin_registered(ports: Ports, origin: str) -> bool:
    """Whether a script of this web origin may call us: some live client has a redirect URI there."""

    def look(tx: StateTransaction) -> bool:
        rows = tx.find(ClientOrigin, ("origin", "=", origin))
        clients = (tx.get(Client, row.client_id) for row in rows)
        return any(client is not None and not client.disabled for client in clients)

    return await ports.state.read(look)


def check_client(new: NewClient) -> None:
    """BadRequest says what is wrong with a registration."""
    if new.kind not in KINDS:
        raise BadRequest(f"The type of a client is one of {', '.join(KINDS)}.")
    if not _CLIENT_ID.fullmatch(new.id):
        raise BadRequest("A client id has 1 to 128 letters, digits, dots, underscores and hyphens.")
    if len(new.name) > 200:
        raise BadRequest("The name of a client has at most 200 characters.")
    _check_redirects(new)
    _check_addresses(new)
    _check_scope(new.kind, parse_scopes(new.scope))
    _check_credentials(new)


def _check_redirects(new: NewClient) -> None:
    for uri in new.redirect_uris:
        parse_redirect_uri(uri)
    if (new.kind == "backend") == bool(new.redirect_uris):
        raise BadRequest(
            "A backend client has no redirect URI: nobody signs in there."
            if new.redirect_uris
            else f"A {new.kind} client needs at least one redirect URI."
        )


def _check_addresses(new: NewClient) -> None:
    for uri in (*new.logout_uris, *filter(None, [new.launch_uri])):
        parse_redirect_uri(uri)
    if new.kind == "backend" and (new.logout_uris or new.launch_uri):
        raise BadRequest("A backend client has no launch and no sign-out address: nobody signs in there.")


def _check_scope(kind: str, scopes: ScopeSet) -> None:
    if scopes.refused:
        raise BadRequest(f"Not a SMART scope: {', '.join(scopes.refused)}.")
    contexts = {scope.context for scope in scopes.fhir}
    if kind == "backend" and (contexts != {"system"} or scopes.launch):
        raise BadRequest("A backend client has system/ scopes and no others, for example system/*.rs.")
    if kind != "backend" and "system" in contexts:
        raise BadRequest("system/ scopes are for backend clients: nobody signs in there. Use patient/ or user/ scopes.")
    if not (scopes.fhir or scopes.launch):
        raise BadRequest("A client needs at least one scope.")


def _check_credentials(new: NewClient) -> None:
    keys = [given for given in (new.jwks, new.jwks_uri) if given is not None]
    if len(keys) > 1:
        raise BadRequest("Give a key set or its address, not both.")
    if new.kind == "public" and (keys or new.secret is not None):
        raise BadRequest("A public client has neither secret nor keys; its type is confidential otherwise.")
    if new.kind == "backend" and (not keys or new.secret is not None):
        raise BadRequest("A backend client authenticates with keys: give a JWKS file or the address of one, no secret.")
    if new.secret is not None and not _SECRET.fullmatch(new.secret):
        raise BadRequest(f"A client secret has {SHORTEST_SECRET} to 256 visible ASCII characters.")
    if new.jwks is not None:
        parse_key_set(new.jwks)
    if new.jwks_uri is not None:
        _check_key_address(new.jwks_uri)


def _check_key_address(url: str) -> None:
    parts = urlsplit(url)
    allowed = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS)
    if not allowed or not parts.hostname or "@" in parts.netloc or parts.fragment or not url.isascii():
        raise BadRequest("The address of a key set is https://host/path (http on localhost only), without user name.")


def _generated_secret(ports: Ports, new: NewClient) -> str | None:
    if new.kind != "confidential" or new.secret or new.jwks or new.jwks_uri:
        return None
    return CLIENT + ports.ids.secret()


def _origins(client: Client) -> list[ClientOrigin]:
    origins = {parse_redirect_uri(uri).origin for uri in client.redirect_uris}
    return [ClientOrigin(origin=origin, client_id=client.id) for origin in sorted(origins)]


def audit_client(at: datetime, client_id: str, detail: str, actor: str = "operator") -> AuditLine:
    return AuditLine(at=at, action="admin", outcome="success", actor=actor, client=client_id, detail=detail)
