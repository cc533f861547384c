"""Connect a wearable: to the vendor's consent page and back, with a single-use state and PKCE.

    begin -> the browser goes to `authorize_url` -> the vendor sends it to our callback -> finish

https://www.rfc-editor.org/rfc/rfc6749#section-4.1, https://www.rfc-editor.org/rfc/rfc7636
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from fhir_facade.errors import AlreadyLinked, BadRequest, Conflict, MissingScope, NotLinked, VendorError, Withdrawn
from fhir_facade.flows.connections import ConnectionView, connection_line, view
from fhir_facade.flows.wearables.acting import SYNC, acting_patient
from fhir_facade.flows.wearables.pending import (
    STATE_LIFETIME,
    consume,
    digest,
    refuse_mix_up,
    refuse_withdrawn,
    remember,
    verifier_context,
)
from fhir_facade.flows.wearables.records import consent, consent_id, device, device_id, transaction
from fhir_facade.flows.wearables.tokens import keep_tokens
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import DeviceVendor, Ports, StateTransaction, VendorSettings, VendorTokens
from fhir_facade.rows import Append
from fhir_facade.rows.connections import Connection, PendingConnection
from fhir_facade.values import Principal

LINKED_ELSEWHERE: Final = "linked-elsewhere"
OTHER_ACCOUNT: Final = "other-account"
_TAKEN: Final = (
    "This account is already linked to another person here: disconnect it there first, or sign in at the vendor with "
    "an account of your own, and begin again."
)


@dataclass(frozen=True, slots=True)
class Begun:
    """`authorize_url` is where the person's browser goes next; a caller may append `login_hint`."""

    connection: ConnectionView
    authorize_url: str


def vendor_of(ports: Ports, name: str) -> DeviceVendor:
    """BadRequest for a vendor that is not set up."""
    vendor = ports.vendors.get(name)
    if vendor is None:
        known = ", ".join(sorted(ports.vendors)) or "none"
        raise BadRequest(f"There is no vendor '{name}' here; set up are: {known}.", expression="vendor")
    return vendor


# --- begin ----------------------------------------------------------------------------------------------------


async def begin(
    ports: Ports,
    principal: Principal,
    *,
    vendor: str,
    redirect_uri: str,
    patient: str | None = None,
    session: str | None = None,
) -> Begun:
    """Start connecting. `session` is set when a portal session asks: the callback then needs the same one.

    A patient has one connection per vendor: beginning again keeps its id, its data and, until the callback, its state.
    BadRequest, Forbidden, NotFound.
    """
    adapter = vendor_of(ports, vendor)
    wanted = await acting_patient(ports, principal, patient)
    state, verifier = ports.ids.secret(), ports.ids.secret()
    fresh = Connection(id=ports.ids.new(), patient=wanted, vendor=vendor, state="pending", created_at=ports.clock.now())
    pending = PendingConnection(
        hash=digest(state),
        connection=fresh.id,
        sealed_verifier=ports.vault.seal(verifier.encode(), context=verifier_context(digest(state))),
        redirect_uri=redirect_uri,
        expires_at=ports.clock.now() + STATE_LIFETIME,
        session=session,
        user=principal.user,
        app_grant=principal.grant,
    )
    connection = await ports.state.write(lambda tx: remember(tx, fresh, pending))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    url = adapter.authorize_url(state=state, challenge=challenge, redirect_uri=redirect_uri)
    return Begun(view(ports, connection), url)


# --- callback -------------------------------------------------------------------------------------------------


async def finish(
    ports: Ports,
    *,
    state: str,
    code: str | None,
    error: str | None = None,
    session: str | None = None,
    person: Principal | None = None,
) -> ConnectionView:
    """The vendor sent the browser back with `code`, or with `error` when the person refused. `session` and `person` are
    those who are signed in there.

    BadRequest: the state is unknown, used, older than ten minutes, or belongs to another session or to a record that is
    none of the person's; nothing happened. Withdrawn: what the app that began it was allowed was withdrawn meanwhile.
    AlreadyLinked: the vendor's account, or this record, is connected otherwise; nothing changed. What goes wrong at the
    vendor is no exception here: it is the state and the `last_error` of the connection.
    """
    if person is not None:
        await refuse_mix_up(ports, state, person)
    pending = await consume(ports, state, session)
    connection = await ports.state.read(lambda tx: tx.get(Connection, pending.connection))
    if connection is None:
        raise BadRequest("This connection was removed meanwhile; begin the connection again.")
    if code is None or error is not None:
        return await _failed(ports, connection, pending, connection.state, "The access was not granted at the vendor.")
    async with ports.locks.hold(f"connection|{connection.id}"):
        try:
            await ports.state.read(lambda tx: refuse_withdrawn(tx, pending))
            return await _complete(ports, connection, pending, code)
        except Withdrawn as refused:
            await _failed(ports, connection, pending, connection.state, str(refused))
            raise
        except AlreadyLinked as refused:
            state = "error" if refused.reason == LINKED_ELSEWHERE else connection.state
            await _failed(ports, connection, pending, state, str(refused))
            raise


async def _complete(ports: Ports, connection: Connection, pending: PendingConnection, code: str) -> ConnectionView:
    vendor = vendor_of(ports, connection.vendor)
    verifier = ports.vault.open(pending.sealed_verifier, context=verifier_context(pending.hash)).decode()
    try:
        tokens = await vendor.exchange(code=code, verifier=verifier, redirect_uri=pending.redirect_uri)
        account = await vendor.identity(tokens.access_token)
        settings = await _settings(vendor, tokens)
    except NotLinked as error:
        return await _failed(ports, connection, pending, "not-linked", str(error))
    except VendorError as error:
        return await _failed(ports, connection, pending, "error", str(error))
    if connection.account not in (None, account):
        text = "This is another account than the one that is connected; disconnect that one first."
        raise AlreadyLinked(text, reason=OTHER_ACCOUNT)
    try:
        connection = await _claim(ports, connection, account, tokens, settings, pending)
    except Conflict as taken:  # its new tokens are not revoked: that would end the other person's access too
        raise AlreadyLinked(_TAKEN, reason=LINKED_ELSEWHERE) from taken
    await keep_tokens(ports, connection.id, tokens)
    return await _activate(ports, connection, pending, settings)


async def _settings(vendor: DeviceVendor, tokens: VendorTokens) -> VendorSettings | None:
    try:
        return await vendor.settings(tokens.access_token)
    except MissingScope:
        return None


async def _claim(
    ports: Ports,
    connection: Connection,
    account: str,
    tokens: VendorTokens,
    settings: VendorSettings | None,
    pending: PendingConnection,
) -> Connection:
    """Bind the vendor account to this patient. Conflict when it is bound to another one, also in a race; Withdrawn when
    the permission went while the vendor was asked."""
    bound = msgspec.structs.replace(connection, account=account)
    values: dict[str, Any] = {
        "account": account,
        "scopes": tokens.scopes,
        "consent": consent_id(bound),
        "device": device_id(bound),
    }
    if settings is not None:
        values["zone"] = settings.zone

    def work(tx: StateTransaction) -> Connection:
        refuse_withdrawn(tx, pending)
        taken = tx.find(Connection, ("vendor", "=", connection.vendor), ("account", "=", account))
        if any(each.id != connection.id for each in taken):
            raise Conflict("the account is linked already")
        return tx.change(Connection, [("id", "=", connection.id)], **values)[0]

    return await ports.state.write(work)


async def _activate(
    ports: Ports, connection: Connection, pending: PendingConnection, settings: VendorSettings | None
) -> ConnectionView:
    """The granted scopes make the Consent; the tokens are stored already, so a crash in between loses nothing."""
    vendor, now = vendor_of(ports, connection.vendor), ports.clock.now()
    asked = [scope for scope in vendor.scopes if scope in connection.scopes]
    resources = [
        device(connection, settings, vendor.title),
        consent(connection, asked, vendor.title, now),
    ]
    await dispatch(ports, SYNC, transaction(resources))
    complete = set(vendor.scopes) <= set(connection.scopes)
    values = {"state": "active" if complete else "missing-scopes", "last_error": None, "due_at": now}
    return await _changed(ports, connection, pending, "success", None, values)


async def _failed(
    ports: Ports, connection: Connection, pending: PendingConnection, state: str, text: str
) -> ConnectionView:
    """A connection that works already keeps working: a failed attempt to renew it only leaves its message."""
    kept = connection.state if connection.state in ("active", "missing-scopes") else state
    return await _changed(ports, connection, pending, "failed", text, {"state": kept, "last_error": text})


async def _changed(
    ports: Ports,
    connection: Connection,
    pending: PendingConnection,
    outcome: str,
    detail: str | None,
    values: Mapping[str, Any],
) -> ConnectionView:
    line = connection_line(ports, connection, "connect", outcome, pending.user, detail)

    def work(tx: StateTransaction) -> Connection:
        changed = tx.change(Connection, [("id", "=", connection.id)], **values)
        tx.apply(Append(line))
        return changed[0] if changed else msgspec.structs.replace(connection, **values)

    return view(ports, await ports.state.write(work))
