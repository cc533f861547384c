"""Apps that register themselves, with a token an operator gave out, and keep their registration with one of their own.

https://www.rfc-editor.org/rfc/rfc7591, https://www.rfc-editor.org/rfc/rfc7592; written by hand, because the core would
hand a secret to public clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from fhir_facade.access.scopes import covers, parse_scopes
from fhir_facade.errors import BadRequest
from fhir_facade.flows.launch.client_changes import end_wider
from fhir_facade.flows.launch.clients import NewClient, audit_client, check_client, client_row, disable_in, put_client
from fhir_facade.flows.launch.issuer import Issuer
from fhir_facade.flows.launch.metadata import InvalidMetadata, described, new_client
from fhir_facade.flows.launch.opaque import CLIENT, REGISTRATION, digest, same
from fhir_facade.flows.launch.request import Bearer, MalformedRequest, credentials
from fhir_facade.flows.launch.server import NO_STORE, Answer
from fhir_facade.flows.launch.sign_in import Caller, SignIn
from fhir_facade.interactions.audit_refusals import refuse_app
from fhir_facade.ports import StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.oauth import Client, InitialAccessToken

ACTOR: Final = "registration"


class _Refused(Exception):
    """Carries the answer out of a transaction, which is rolled back with it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


async def register(sign_in: SignIn, body: bytes, authorization: str | None) -> Answer:
    """POST: a new app, 201. 401 without a good initial access token, 400 for metadata that cannot be meant."""
    token = _bearer(authorization)
    if token is None:
        return _unauthorized()
    ports, now = sign_in.ports, sign_in.ports.clock.now()
    client_id, access, secret = ports.ids.new(), REGISTRATION + ports.ids.secret(), CLIENT + ports.ids.secret()

    def work(tx: StateTransaction) -> Answer:
        granted = _spend(tx, token, sign_in)
        new = _checked(_document(body), client_id, granted.scope)
        given = secret if new.kind == "confidential" and not (new.jwks or new.jwks_uri) else None
        row = client_row(new, given, now)
        row = msgspec.structs.replace(row, registration_hash=digest(access), verified=False)
        put_client(tx, row)
        tx.apply(Append(audit_client(now, client_id, f"registered with {granted.id}", ACTOR)))
        return _told(sign_in.issuer, row, 201, secret=given, access=access)

    return await _answered(sign_in, work)


async def record_refused(sign_in: SignIn, caller: Caller) -> None:
    """The audit line of who came without a good token."""
    await refuse_app(sign_in.ports, "admin", "registration, invalid_token", caller.address, caller.request_id)


async def read_registration(sign_in: SignIn, client_id: str, authorization: str | None) -> Answer:
    """GET: what is registered; a secret is not told again."""
    return await _kept(sign_in, client_id, authorization, lambda tx, row: _told(sign_in.issuer, row, 200))


async def change_registration(sign_in: SignIn, client_id: str, body: bytes, authorization: str | None) -> Answer:
    """PUT: the new metadata in place of the old. Kind and secret stay, no wider scope can be asked for, and what people
    allowed beyond a narrower one ends."""
    now = sign_in.ports.clock.now()

    def change(tx: StateTransaction, row: Client) -> Answer:
        document = _document(body)
        if document.get("client_id", client_id) != client_id:
            raise _Refused(_wrong("invalid_client_metadata", "client_id is that of the address."))
        new = _checked(document, client_id, row.scope)
        if new.kind != row.kind or bool(new.jwks or new.jwks_uri) != bool(row.jwks or row.jwks_uri):
            raise _Refused(_wrong("invalid_client_metadata", "The way of authentication stays: register anew."))
        changed = msgspec.structs.replace(
            client_row(new, None, row.created_at),
            secret_hash=row.secret_hash,
            registration_hash=row.registration_hash,
            verified=False,
        )
        put_client(tx, changed)
        end_wider(tx, now, new)
        tx.apply(Append(audit_client(now, client_id, "registration changed", ACTOR)))
        return _told(sign_in.issuer, changed, 200)

    return await _kept(sign_in, client_id, authorization, change)


async def end_registration(sign_in: SignIn, client_id: str, authorization: str | None) -> Answer:
    """DELETE: the app is refused from now on, and its grants and tokens end. 204."""
    now = sign_in.ports.clock.now()

    def end(tx: StateTransaction, row: Client) -> Answer:
        disable_in(tx, now, row.id, ACTOR)
        return Answer(204, {})

    return await _kept(sign_in, client_id, authorization, end)


async def _kept(sign_in: SignIn, client_id: str, authorization: str | None, act: Any) -> Answer:
    """For the holder of the registration token of this very app; nobody else learns whether there is such an app."""
    token = _bearer(authorization)

    def work(tx: StateTransaction) -> Answer:
        row = tx.get(Client, client_id)
        known = row is not None and row.registration_hash is not None and not row.disabled
        if row is None or not known or token is None or not same(token, row.registration_hash or ""):
            return _unauthorized()
        answer: Answer = act(tx, row)
        return answer

    return await _answered(sign_in, work)


async def _answered(sign_in: SignIn, work: Any) -> Answer:
    try:
        answer: Answer = await sign_in.ports.state.write(work)
    except _Refused as refused:
        return refused.answer
    except InvalidMetadata as error:
        return _wrong(error.code, str(error))
    except BadRequest as error:
        return _wrong("invalid_client_metadata", str(error))
    return answer


def _spend(tx: StateTransaction, token: str, sign_in: SignIn) -> InitialAccessToken:
    now, key = sign_in.ports.clock.now(), digest(token)
    row = tx.get(InitialAccessToken, key)
    if row is None or row.expires_at <= now or row.uses_left < 1:
        raise _Refused(_unauthorized())
    if not tx.change(
        InitialAccessToken, [("hash", "=", key), ("uses_left", "=", row.uses_left)], uses_left=row.uses_left - 1
    ):
        raise _Refused(_unauthorized())
    return row


def _checked(document: Mapping[str, Any], client_id: str, ceiling: str) -> NewClient:
    new = new_client(document, client_id)
    new = replace(new, scope=new.scope or ceiling)
    if not covers(parse_scopes(ceiling), parse_scopes(new.scope)):
        raise InvalidMetadata(f"scope is at most {ceiling}")
    check_client(new)
    return new


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InvalidMetadata("The body is a JSON object with the metadata of the app.")
    return document


def _told(issuer: Issuer, row: Client, status: int, *, secret: str | None = None, access: str | None = None) -> Answer:
    address = f"{issuer.register}/{row.id}"
    told = described(row) | {"registration_client_uri": address}
    if secret is not None:
        told |= {"client_secret": secret, "client_secret_expires_at": 0}
    if access is not None:
        told["registration_access_token"] = access
    return Answer(status, told)


def _bearer(authorization: str | None) -> str | None:
    try:
        header = credentials(authorization)
    except MalformedRequest:
        return None
    return header.token if isinstance(header, Bearer) else None


def _unauthorized() -> Answer:
    return Answer(401, {"error": "invalid_token"}, (*NO_STORE, ("WWW-Authenticate", 'Bearer error="invalid_token"')))


def _wrong(error: str, description: str) -> Answer:
    return Answer(400, {"error": error, "error_description": description})
