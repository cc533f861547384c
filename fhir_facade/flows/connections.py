"""The wearables of a patient: what may be told about a connection, and its end.

https://www.rfc-editor.org/rfc/rfc7009
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_facade.errors import Gone, NotFound, VendorError
from fhir_facade.fhir.document import decimal_loads
from fhir_facade.flows.admission import UNKNOWN, Origin
from fhir_facade.flows.wearables.acting import SYNC, may_see, reachable
from fhir_facade.flows.wearables.records import transaction, withdrawn
from fhir_facade.flows.wearables.tokens import token_to_revoke
from fhir_facade.interactions.audit import audit_line, record_lines
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append, Remove, RowChange
from fhir_facade.rows.accounts import NO_ZONE, Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.connections import Connection, ConnectionTokens, Cursor, PendingConnection, SyncRun
from fhir_facade.values import FhirRequest, Interaction, Principal


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
class Disconnected:
    """`revoked` False: the vendor could not be told; the person can remove the application in the vendor's settings."""

    revoked: bool


def view(ports: Ports, connection: Connection) -> ConnectionView:
    """What may be told of a row."""
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
    """Revoke at the vendor, end the Consent, forget tokens and cursors; what was measured stays, and so does the day
    that it is for the person.

    Also when the vendor cannot be reached the connection ends here.
    """
    connection = await reachable(ports, principal, connection_id, Interaction.CREATE)
    revoked = await revoke_at_vendor(ports, connection)
    await ports.state.write(lambda tx: _keep_zone(tx, connection))
    rows = await ports.state.read(lambda tx: belongings(tx, connection))
    line = connection_line(ports, connection, "disconnect", "success", principal.user, None)
    request = await _withdrawal(ports, connection)
    if request is None:
        await ports.state.write(lambda tx: tx.apply(*rows, Append(line)))
    else:
        await dispatch(ports, SYNC, request, rows=[*rows, Append(line)])
    return Disconnected(revoked)


def _keep_zone(tx: StateTransaction, connection: Connection) -> None:
    """The zone of the wearable, which counted until now, becomes that of an account for which nobody chose one."""
    if connection.zone is not None:
        nobody_chose = ("patient_id", "=", connection.patient), ("zone", "=", NO_ZONE)
        tx.change(Account, nobody_chose, zone=connection.zone)


async def revoke_at_vendor(ports: Ports, connection: Connection) -> bool:
    """Whether the vendor knows that it is over; also when it had granted nothing."""
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


def belongings(tx: StateTransaction, connection: Connection) -> list[RowChange]:
    """What has to be removed so that nothing is left of a connection."""
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


def connection_line(
    ports: Ports, connection: Connection, action: str, outcome: str, user: str | None, detail: str | None
) -> AuditLine:
    """The audit line of what happened to a connection; `user` did it."""
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
