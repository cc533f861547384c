"""Writing what a read found: transactions of bounded size through the door, and one Provenance per sync.

The run remembers, in the transaction of the data, what was written: a sync that died is completed by the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from fhir_facade.errors import Conflict
from fhir_facade.fhir.document import decimal_dumps
from fhir_facade.flows.wearables.acting import SYNC
from fhir_facade.flows.wearables.changes import Changes
from fhir_facade.flows.wearables.reader import Reader
from fhir_facade.flows.wearables.records import Resource, provenance, transaction
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import StateTransaction
from fhir_facade.rows import Append, Put, Remove, RowChange
from fhir_facade.rows.connections import SyncRun
from fhir_facade.values import FhirRequest, FhirResponse, Interaction

BATCH: Final = 100
ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Written:
    created: int = 0
    updated: int = 0
    removed: int = 0


class _Response(msgspec.Struct):
    status: str


class _Entry(msgspec.Struct):
    response: _Response


class _Answer(msgspec.Struct):
    entry: list[_Entry] = []


_ANSWER = msgspec.json.Decoder(_Answer)


async def open_run(reader: Reader) -> None:
    """Begin a run, or go on with one that never ended."""
    fresh = reader.run

    def work(tx: StateTransaction) -> SyncRun:
        known = tx.get(SyncRun, fresh.connection)
        if known is None:
            tx.apply(Append(fresh))
        return known or fresh

    reader.run = await reader.ports.state.write(work)


async def write_changes(reader: Reader, plan: Changes, completing: Sequence[RowChange]) -> Written:
    """Write all changes, oldest first; `completing` is committed with the last of them, or alone."""
    items = [*plan.puts, *plan.gone]
    statuses: list[str] = []
    for start in range(0, len(items), BATCH):
        piece = items[start : start + BATCH]
        last = start + BATCH >= len(items)
        response = await _commit(reader, piece, completing if last else ())
        statuses += [entry.response.status for entry in _ANSWER.decode(response.body).entry]
    if not items and completing:
        await reader.ports.state.write(lambda tx: tx.apply(*completing))
    created = sum(status.startswith("201") for status in statuses)
    return Written(created, len(plan.puts) - created, len(plan.gone))


async def _commit(reader: Reader, piece: Sequence[Resource], completing: Sequence[RowChange]) -> FhirResponse:
    run = _with_targets(reader.run, piece)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            response = await dispatch(reader.ports, SYNC, transaction(piece), rows=[Put(run), *completing])
        except Conflict:
            if attempt == ATTEMPTS:
                raise
        else:
            reader.run = run
            return response
    raise AssertionError("unreachable: the last attempt returns or raises")


def _with_targets(run: SyncRun, piece: Iterable[Resource]) -> SyncRun:
    targets = dict.fromkeys((*run.targets, *(f"Observation/{each['id']}" for each in piece)))
    return msgspec.structs.replace(run, targets=tuple(targets))


async def close_run(reader: Reader) -> str | None:
    """Write the Provenance of everything the run wrote and end it, both or neither; the id, None without changes."""
    ports, run = reader.ports, reader.run
    ended = Remove(SyncRun, (run.connection,))
    if not run.targets:
        await ports.state.write(lambda tx: tx.apply(ended))
        return None
    body = decimal_dumps(provenance(reader.connection, run, reader.vendor.title, ports.clock.now()))
    request = FhirRequest(Interaction.CREATE, "Provenance", body=body)
    response = await dispatch(ports, SYNC, request, rows=[ended])
    return response.location.id if response.location is not None else None
