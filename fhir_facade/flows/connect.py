"""Connect a wearable and disconnect it: to the vendor's consent page and back, with a single-use state and PKCE.

    begin -> the browser goes to `authorize_url` -> the vendor sends it to our callback -> finish

https://www.rfc-editor.org/rfc/rfc6749#section-4.1, https://www.rfc-editor.org/rfc/rfc7636
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from fhir_facade.errors import BadRequest, Conflict, Gone, MissingScope, NotFound, NotLinked, VendorError
from fhir_facade.fhir.document import decimal_loads
from fhir_facade.flows.admission import UNKNOWN, Origin
from fhir_facade.flows.wearables.acting import SYNC, acting_patient, may_see, reachable
from fhir_facade.flows.wearables.records import consent, consent_id, device, device_id, transaction, withdrawn
from fhir_facade.flows.wearables.tokens import keep_tokens, token_to_revoke
from fhir_facade.interactions.audit import audit_line, record_lines
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import DeviceVendor, Ports, StateTransaction, VendorSettings, VendorTokens
from fhir_facade.rows import Append, Remove, RowChange
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.connections import Connection, ConnectionTokens, Cursor, PendingConnection, SyncRun
from fhir_facade.values import FhirRequest, Interaction, Principal

STATE_LIFETIME: Final = timedelta(minutes=10)
_STATE_REFUSED = "This link was used already or is too old; begin the connection again."


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """What may be told about a connection. `missing_scopes` were asked for and not granted."""

    id: str
    patient: str
    vendor: str
    state: str
    created_at: datetime
    scopes: tuple[str, ...]
    missing_scopes: tuple[str, ...]
    zone: str | None
    last_sync_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Begun:
    """`authorize_url` is where the person's browser goes next; a caller may append `login_hint`."""

    connection: ConnectionView
    authorize_url: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """`revoked` False: the vendor could not be told; the person can remove the application in the vendor's settings."""

    revoked: bool


def vendor_of(ports: Ports, name: str) -> DeviceVendor:
    """BadRequest for a vendor that is not set up."""
    vendor = ports.vendors.get(name)
    if vendor is None:
        known = ", ".join(sorted(ports.vendors)) or "none"
        raise BadRequest(f"There is no vendor '{name}' here; set up are: {known}.", expression="vendor")
    return vendor


def view(ports: Ports, connection: Connection) -> ConnectionView:
    vendor = ports.vendors.get(connection.vendor)
    asked = vendor.scopes if vendor is not None and connection.account else ()
    return ConnectionView(
        id=connection.id,
        patient=connection.patient,
        vendor=connection.vendor,
        state=connection.state,
        created_at=connection.created_at,
        scopes=connection.scopes,
        missing_scopes=tuple(scope for scope in asked if scope not in connection.scopes),
        zone=connection.zone,
        last_sync_at=connection.last_sync_at,
        last_error=connection.last_error,
    )


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
        hash=_digest(state),
        connection=fresh.id,
        sealed_verifier=ports.vault.seal(verifier.encode(), context=_verifier_context(_digest(state))),
        redirect_uri=redirect_uri,
        expires_at=ports.clock.now() + STATE_LIFETIME,
        session=session,
        user=principal.user,
    )
    connection = await ports.state.write(lambda tx: _remember(tx, fresh, pending))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    url = adapter.authorize_url(state=state, challenge=challenge, redirect_uri=redirect_uri)
    return Begun(view(ports, connection), url)


def _remember(tx: StateTransaction, fresh: Connection, pending: PendingConnection) -> Connection:
    known = tx.find(Connection, ("patient", "=", fresh.patient), ("vendor", "=", fresh.vendor))
    connection = known[0] if known else fresh
    if not known:
        tx.apply(Append(fresh))
    old = tx.find(PendingConnection, ("expires_at", "<=", pending.expires_at - STATE_LIFETIME), limit=100)
    tx.apply(
        *(Remove(PendingConnection, (each.hash,)) for each in old),
        Append(msgspec.structs.replace(pending, connection=connection.id)),
    )
    return connection


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()


def _verifier_context(state_hash: str) -> str:
    return f"vendor-verifier|{state_hash}"


# --- callback -------------------------------------------------------------------------------------------------


async def finish(
    ports: Ports, *, state: str, code: str | None, error: str | None = None, session: str | None = None
) -> ConnectionView:
    """The vendor sent the browser back with `code`, or with `error` when the person refused.

    BadRequest: the state is unknown, used, older than ten minutes, or belongs to another session; nothing happened.
    What goes wrong at the vendor is no exception here: it is the state and the `last_error` of the connection.
    """
    pending = await _consume(ports, state, session)
    connection = await ports.state.read(lambda tx: tx.get(Connection, pending.connection))
    if connection is None:
        raise BadRequest("This connection was removed meanwhile; begin the connection again.")
    if code is None or error is not None:
        return await _failed(ports, connection, pending, connection.state, "The access was not granted at the vendor.")
    async with ports.locks.hold(f"connection|{connection.id}"):
        return await _complete(ports, connection, pending, code)


async def _consume(ports: Ports, state: str, session: str | None) -> PendingConnection:
    """The pending row, which nobody gets a second time."""
    key, now = _digest(state), ports.clock.now()

    def work(tx: StateTransaction) -> PendingConnection | None:
        row = tx.get(PendingConnection, key)
        if row is None or (row.session is not None and row.session != session):
            return None
        where = [("hash", "=", key), ("used_at", "=", None), ("expires_at", ">", now)]
        return next(iter(tx.change(PendingConnection, where, used_at=now)), None)

    row = await ports.state.write(work)
    if row is None:
        raise BadRequest(_STATE_REFUSED)
    return row


async def _complete(ports: Ports, connection: Connection, pending: PendingConnection, code: str) -> ConnectionView:
    vendor = vendor_of(ports, connection.vendor)
    verifier = ports.vault.open(pending.sealed_verifier, context=_verifier_context(pending.hash)).decode()
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
        return await _failed(ports, connection, pending, connection.state, text)
    try:
        connection = await _claim(ports, connection, account, tokens, settings)
    except Conflict:  # its new tokens are not revoked: that would end the other person's access too
        text = "This account is already linked to another person here; it has to be disconnected there first."
        return await _failed(ports, connection, pending, "error", text)
    await keep_tokens(ports, connection.id, tokens)
    return await _activate(ports, connection, pending, settings)


async def _settings(vendor: DeviceVendor, tokens: VendorTokens) -> VendorSettings | None:
    try:
        return await vendor.settings(tokens.access_token)
    except MissingScope:
        return None


async def _claim(
    ports: Ports, connection: Connection, account: str, tokens: VendorTokens, settings: VendorSettings | None
) -> Connection:
    """Bind the vendor account to this patient. Conflict when it is bound to another one, also in a race."""
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
    line = _audit(ports, connection, "connect", outcome, pending.user, detail)

    def work(tx: StateTransaction) -> Connection:
        changed = tx.change(Connection, [("id", "=", connection.id)], **values)
        tx.apply(Append(line))
        return changed[0] if changed else msgspec.structs.replace(connection, **values)

    return view(ports, await ports.state.write(work))


def _audit(
    ports: Ports, connection: Connection, action: str, outcome: str, user: str | None, detail: str | None
) -> AuditLine:
    return AuditLine(
        at=ports.clock.now(),
        action=action,
        outcome=outcome,
        actor=SYNC.name or "",
        user=user,
        patient=connection.patient,
        entity=f"Consent/{connection.consent}" if connection.consent else "Consent",
        detail=detail,
    )


# --- look and disconnect --------------------------------------------------------------------------------------


async def look(ports: Ports, principal: Principal, connection_id: str, *, origin: Origin = UNKNOWN) -> ConnectionView:
    """One connection. NotFound when it is absent or foreign."""
    found = await reachable(ports, principal, connection_id, Interaction.READ)
    await _seen(ports, principal, found.patient, [found], origin)
    return view(ports, found)


async def connections_of(
    ports: Ports, principal: Principal, patient: str, *, origin: Origin = UNKNOWN
) -> Sequence[ConnectionView]:
    """All connections of a patient, by vendor; none of a patient one may not see."""
    if not await may_see(ports, principal, patient):
        return ()
    found = await ports.state.read(lambda tx: tx.find(Connection, ("patient", "=", patient), order=("vendor",)))
    await _seen(ports, principal, patient, found, origin)
    return [view(ports, each) for each in found]


async def _seen(
    ports: Ports, principal: Principal, patient: str, connections: Sequence[Connection], origin: Origin
) -> None:
    """A connection tells what a person agreed to: who looks at it is in the audit like who reads the Consent."""
    consents = [f"Consent/{each.consent}" for each in connections if each.consent]
    request = FhirRequest(Interaction.READ, "Consent", request_id=origin.request_id, address=origin.address)
    entity = consents[0] if len(consents) == 1 else None
    await record_lines(ports, [audit_line(ports, principal, request, entity=entity, patient=patient)])


async def disconnect(ports: Ports, principal: Principal, connection_id: str) -> Disconnected:
    """Revoke at the vendor, end the Consent, forget tokens and cursors; what was measured stays.

    Also when the vendor cannot be reached the connection ends here.
    """
    connection = await reachable(ports, principal, connection_id, Interaction.CREATE)
    revoked = await _revoke(ports, connection)
    rows = await ports.state.read(lambda tx: _belongings(tx, connection))
    line = _audit(ports, connection, "disconnect", "success", principal.user, None)
    request = await _withdrawal(ports, connection)
    if request is None:
        await ports.state.write(lambda tx: tx.apply(*rows, Append(line)))
    else:
        await dispatch(ports, SYNC, request, rows=[*rows, Append(line)])
    return Disconnected(revoked)


async def _revoke(ports: Ports, connection: Connection) -> bool:
    vendor = ports.vendors.get(connection.vendor)
    token = await token_to_revoke(ports, connection.id)
    if token is None:
        return True
    try:
        if vendor is not None:
            await vendor.revoke(token)
    except VendorError:
        return False
    return vendor is not None


def _belongings(tx: StateTransaction, connection: Connection) -> list[RowChange]:
    cursors = tx.find(Cursor, ("connection", "=", connection.id))
    pending = tx.find(PendingConnection, ("connection", "=", connection.id))
    return [
        Remove(Connection, (connection.id,)),
        Remove(ConnectionTokens, (connection.id,)),
        Remove(SyncRun, (connection.id,)),
        *(Remove(Cursor, (connection.id, each.data_type)) for each in cursors),
        *(Remove(PendingConnection, (each.hash,)) for each in pending),
    ]


async def _withdrawal(ports: Ports, connection: Connection) -> FhirRequest | None:
    """The Consent, ended; None when there is none (any more)."""
    if connection.consent is None:
        return None
    try:
        found = await dispatch(ports, SYNC, FhirRequest(Interaction.READ, "Consent", connection.consent))
    except (NotFound, Gone):
        return None
    ended = withdrawn(decimal_loads(found.body), ports.clock.now())
    return transaction([ended])
