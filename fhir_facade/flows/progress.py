"""How far a synchronisation has come, seen from any process: what its run and its cursors say.

https://developers.google.com/health
"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_facade.flows.wearables.acting import reachable
from fhir_facade.flows.wearables.report import last_unreadable
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows.connections import Connection, Cursor, SyncRun
from fhir_facade.values import Interaction, Principal


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `of` kinds of data were read in the run that is going on, or was interrupted; `through` is the last
    complete civil day of each kind that was ever read; `unreadable` how many values of a kind the last finished run
    could not read, for kinds with any."""

    begun: bool
    done: int
    of: int
    through: tuple[tuple[str, str], ...]
    unreadable: tuple[tuple[str, int], ...]


async def progress(ports: Ports, principal: Principal, connection_id: str) -> Progress:
    """NotFound when the connection is absent or foreign."""
    connection = await reachable(ports, principal, connection_id, Interaction.READ)
    run, cursors, unreadable = await ports.state.read(lambda tx: _rows(tx, connection))
    vendor = ports.vendors.get(connection.vendor)
    asked = vendor.data_types if vendor is not None else {}
    granted = [name for name, scope in asked.items() if scope in connection.scopes]
    done = 0 if run is None else sum(cursor.read_at >= run.started_at for cursor in cursors)
    through = tuple((cursor.data_type, cursor.through) for cursor in cursors)
    return Progress(run is not None, done, max(len(granted), done), through, tuple(unreadable.items()))


def _rows(tx: StateTransaction, connection: Connection) -> tuple[SyncRun | None, list[Cursor], dict[str, int]]:
    cursors = tx.find(Cursor, ("connection", "=", connection.id), order=("data_type",))
    return tx.get(SyncRun, connection.id), cursors, last_unreadable(tx, connection)
