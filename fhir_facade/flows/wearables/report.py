"""What a sync did: told to who asked for it, and left for those who waited in other processes.

https://www.rfc-editor.org/rfc/rfc9110#status.202
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from fhir_facade.flows.connections import ConnectionView, view
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows.connections import Connection
from fhir_facade.rows.events import Event

LAST: Final = 20
"""Among so many ends of syncs of a person's wearables is the last one of each."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One data type of a sync. `read` counts the vendor's records, the others Observations; `error` in plain words.

    `unreadable` counts the values that should be Observations and could not be made into any, by reason; a reason names
    the vendor's member and no value.
    """

    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    unreadable: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did, by data type. `error` is what stopped it or failed first; `provenance` an id, None when
    nothing was written."""

    connection: ConnectionView
    metrics: Mapping[str, Metric]
    provenance: str | None
    error: str | None


class Ended(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The data of the event that a sync ended: its report, without the connection's row."""

    connection: str
    state: str
    full: bool = False
    metrics: dict[str, Metric] = {}
    provenance: str | None = None
    error: str | None = None

    def event(self, at: datetime, patient: str) -> Event:
        return Event(at=at, topic="sync", kind="ended", patient=patient, data=msgspec.json.encode(self).decode())


def newest_event(tx: StateTransaction, connection_id: str) -> int:
    """The point after which an end of a sync of this connection is news."""
    newest = tx.find(Event, ("patient", "=", _patient(tx, connection_id)), order=("-id",), limit=1)
    return newest[0].id if newest else 0


async def ended_since(ports: Ports, connection_id: str, event: int, *, full: bool) -> SyncReport | None:
    """The report of the last sync of the connection that ended after the event; of a `full` one when that is asked."""

    def work(tx: StateTransaction) -> tuple[Connection | None, list[Event]]:
        after = (("patient", "=", _patient(tx, connection_id)), ("topic", "=", "sync"), ("id", ">", event))
        return tx.get(Connection, connection_id), tx.find(Event, *after, order=("-id",))

    connection, events = await ports.state.read(work)
    for ended in (msgspec.json.decode(each.data, type=Ended) for each in events):
        if connection is not None and ended.connection == connection_id and ended.full >= full:
            return SyncReport(view(ports, connection), ended.metrics, ended.provenance, ended.error)
    return None


def last_unreadable(tx: StateTransaction, connection: Connection) -> dict[str, int]:
    """How many values of each data type the last sync of the connection could not read; only where there were any."""
    of_syncs = (("patient", "=", connection.patient), ("topic", "=", "sync"))
    ends = (
        msgspec.json.decode(each.data, type=Ended) for each in tx.find(Event, *of_syncs, order=("-id",), limit=LAST)
    )
    last = next((each for each in ends if each.connection == connection.id), None)
    counts = {} if last is None else {name: sum(each.unreadable.values()) for name, each in last.metrics.items()}
    return {name: count for name, count in counts.items() if count}


def _patient(tx: StateTransaction, connection_id: str) -> str:
    connection = tx.get(Connection, connection_id)
    return "" if connection is None else connection.patient
