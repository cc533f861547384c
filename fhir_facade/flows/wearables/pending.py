"""Browsers on their way to a vendor and back: a single-use state each, with the PKCE verifier that belongs to it.

https://www.rfc-editor.org/rfc/rfc6749#section-10.12, https://www.rfc-editor.org/rfc/rfc7636
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Final

import msgspec

from fhir_facade.errors import BadRequest, Withdrawn
from fhir_facade.flows.launch.standing import withdrawn
from fhir_facade.flows.wearables.acting import may_see
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append, Remove
from fhir_facade.rows.connections import Connection, PendingConnection
from fhir_facade.values import Principal

STATE_LIFETIME: Final = timedelta(minutes=10)
MOST_PENDING: Final = 10
"""Beginnings of one connection that can still be finished; the oldest gives way."""
STATE_REFUSED: Final = "This link was used already or is too old; begin the connection again."
WITHDRAWN: Final = "The permission under which this was begun was withdrawn; begin the connection again."


def digest(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()


def verifier_context(state_hash: str) -> str:
    """What the verifier is sealed for."""
    return f"vendor-verifier|{state_hash}"


def remember(tx: StateTransaction, fresh: Connection, pending: PendingConnection) -> Connection:
    """The connection of this patient and vendor, `fresh` when there is none yet, with one more beginning."""
    known = tx.find(Connection, ("patient", "=", fresh.patient), ("vendor", "=", fresh.vendor))
    connection = known[0] if known else fresh
    if not known:
        tx.apply(Append(fresh))
    old = tx.find(PendingConnection, ("expires_at", "<=", pending.expires_at - STATE_LIFETIME), limit=100)
    old += tx.find(PendingConnection, ("connection", "=", connection.id), order=("-expires_at",))[MOST_PENDING - 1 :]
    tx.apply(
        *(Remove(PendingConnection, (hash_,)) for hash_ in dict.fromkeys(each.hash for each in old)),
        Append(msgspec.structs.replace(pending, connection=connection.id)),
    )
    return connection


async def refuse_mix_up(ports: Ports, state: str, person: Principal) -> None:
    """BadRequest: a link that somebody was given would bind their wearable to the record of whoever gave it."""
    connection = await ports.state.read(lambda tx: _connection_of(tx, digest(state)))
    if connection is not None and not await may_see(ports, person, connection.patient):
        raise BadRequest(STATE_REFUSED)


def _connection_of(tx: StateTransaction, state_hash: str) -> Connection | None:
    pending = tx.get(PendingConnection, state_hash)
    return None if pending is None else tx.get(Connection, pending.connection)


async def consume(ports: Ports, state: str, session: str | None) -> PendingConnection:
    """The pending row, which nobody gets a second time. BadRequest."""
    key, now = digest(state), ports.clock.now()

    def work(tx: StateTransaction) -> PendingConnection | None:
        row = tx.get(PendingConnection, key)
        if row is None or (row.session is not None and row.session != session):
            return None
        where = [("hash", "=", key), ("used_at", "=", None), ("expires_at", ">", now)]
        return next(iter(tx.change(PendingConnection, where, used_at=now)), None)

    row = await ports.state.write(work)
    if row is None:
        raise BadRequest(STATE_REFUSED)
    return row


def refuse_withdrawn(tx: StateTransaction, pending: PendingConnection) -> None:
    """Withdrawn: the app that began it may no longer, or the person for whom it did. The app's token may have run out
    on the way: the state has ten minutes of its own."""
    if pending.app_grant is not None and withdrawn(tx, pending.app_grant):
        raise Withdrawn(WITHDRAWN)
