"""Read a connected wearable into the patient's record, as often as one likes: a repeat changes nothing.

Every data type is read completely, compared with what is stored, and written in bounded transactions through the door;
its cursor moves in the transaction that completes it. Whatever dies where, the next sync ends in the same state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from fhir_facade.errors import Busy, Conflict, MissingScope, NotFound, VendorError, VendorThrottled
from fhir_facade.flows.connections import ConnectionView, view
from fhir_facade.flows.score import rescore
from fhir_facade.flows.wearables.changes import changes, window_of
from fhir_facade.flows.wearables.reader import FINAL, Reader, permitted_scopes, refresh_settings
from fhir_facade.flows.wearables.report import Ended, Metric, SyncReport, ended_since, newest_event
from fhir_facade.flows.wearables.stored import stored_observations
from fhir_facade.flows.wearables.writer import Written, close_run, open_run, write_changes
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append, Put
from fhir_facade.rows.connections import Connection, Cursor
from mappers.google_health import to_observations
from mappers.observation import MapContext, MapResult

EVERY: Final = timedelta(hours=6)
"""How long after a sync the next one is due."""

AGAIN_AFTER: Final = timedelta(minutes=1)
"""How long after a first sync that failed the next one is due; doubled with each further one, up to `EVERY`."""

GIVE_UP_AFTER: Final = 2
"""So many data types in a row that fail at the vendor end a sync: the vendor is down."""

_NOT_GRANTED = "The person did not grant this kind of data."
_MORE = "The vendor had more records than are read at once; the rest follows with the next synchronisation."


@dataclass(slots=True)
class _Course:
    """How a sync goes: the metrics so far, and the state it ends in when the vendor ended it."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    state: str | None = None
    error: str | None = None
    scope_missing: bool = False
    failures: int = 0
    retry_after: timedelta | None = None

    def fail(self, data_type: str, error: VendorError) -> None:
        self.metrics[data_type] = Metric(error=str(error))
        self.error = self.error or str(error)


def _lock_of(connection_id: str) -> str:
    return f"sync|{connection_id}"


async def sync(ports: Ports, connection_id: str, *, full: bool = False) -> SyncReport:
    """Synchronise for who may (`reachable` tells), behind whatever other process reads this connection, however long
    that takes; when that one's sync ends meanwhile, its report (a `full` one's, when this is asked) instead of another
    sync. The score follows. NotFound; Conflict when the connection was never completed; what fails at the vendor is in
    the report."""
    newest = await ports.state.read(lambda tx: newest_event(tx, connection_id))
    async with _turn(ports, connection_id):
        report = await ended_since(ports, connection_id, newest, full=full)
        report = report or await _synchronise(ports, connection_id, full=full)
    await rescore(ports, report.connection.patient)
    return report


@asynccontextmanager
async def _turn(ports: Ports, connection_id: str) -> AsyncIterator[None]:
    async with AsyncExitStack() as held:
        while True:
            with suppress(Busy):
                await held.enter_async_context(ports.locks.hold(_lock_of(connection_id)))
                break
        yield


async def _synchronise(ports: Ports, connection_id: str, *, full: bool) -> SyncReport:
    connection = await ports.state.read(lambda tx: tx.get(Connection, connection_id))
    if connection is None:
        raise NotFound(f"There is no connection {connection_id}.")
    if connection.account is None:
        raise Conflict("This connection is not complete: open its authorize_url and grant the access first.")
    reader = Reader(ports, connection)
    await open_run(reader)
    course = await _read(reader, full=full)
    provenance = await close_run(reader)
    connection_view = await _finish(reader, course, provenance, full=full)
    return SyncReport(connection_view, course.metrics, provenance, course.error)


async def _read(reader: Reader, *, full: bool) -> _Course:
    course = _Course()
    try:
        await permitted_scopes(reader)
        await refresh_settings(reader)
        for data_type, scope in reader.vendor.data_types.items():
            if not await _read_one(reader, course, data_type, scope, full=full):
                break
    except tuple(FINAL) as error:
        course.state, course.error = FINAL[type(error)], str(error)
    return course


async def _read_one(reader: Reader, course: _Course, data_type: str, scope: str, *, full: bool) -> bool:
    """Whether to go on with the next data type. The Consent is asked every time: it may end in the middle."""
    if scope not in await permitted_scopes(reader):
        course.metrics[data_type] = Metric(error=_NOT_GRANTED)
        return True
    try:
        course.metrics[data_type] = await _sync_type(reader, data_type, full=full)
    except tuple(FINAL):
        raise
    except MissingScope as error:
        course.metrics[data_type] = Metric(error=str(error))
        course.scope_missing = True
    except VendorThrottled as error:
        course.fail(data_type, error)
        course.retry_after = timedelta(seconds=error.retry_after_s)
        return False
    except VendorError as error:
        course.fail(data_type, error)
        course.failures += 1
        return course.failures < GIVE_UP_AFTER
    course.failures = 0
    return True


async def _sync_type(reader: Reader, data_type: str, *, full: bool) -> Metric:
    ports, connection = reader.ports, reader.connection
    window = window_of(
        _today(connection, ports.clock.now()),
        await _through(ports, connection, data_type),
        lookback_days=ports.deployment.sync_lookback_days,
        full=full,
    )
    read = await reader.ask(
        lambda token: reader.vendor.fetch(token, data_type=data_type, start=window.start, end=window.end)
    )
    result = to_observations(data_type, read.records, _context(connection))
    stored = await stored_observations(ports, connection, data_type, window.start)
    plan = changes(result, stored, window, vendor=connection.vendor, complete=read.complete)
    through = (window.end - timedelta(days=1)).isoformat()
    cursor = Cursor(connection=connection.id, data_type=data_type, through=through, read_at=ports.clock.now())
    written = await write_changes(reader, plan, [Put(cursor)] if read.complete else [])
    return _metric(len(read.records), result, plan.unchanged, written, complete=read.complete)


def _metric(read: int, result: MapResult, unchanged: int, written: Written, *, complete: bool) -> Metric:
    return Metric(
        read=read,
        created=written.created,
        updated=written.updated,
        unchanged=unchanged,
        removed=written.removed,
        unreadable=dict(Counter(each.reason for each in result.skipped if not each.expected)),
        error=None if complete else _MORE,
    )


def _today(connection: Connection, now: datetime) -> date:
    """The person's own day; with an unknown zone the latest day it may be anywhere."""
    if connection.zone is None:
        return (now + timedelta(hours=14)).date()
    return now.astimezone(ZoneInfo(connection.zone)).date()


async def _through(ports: Ports, connection: Connection, data_type: str) -> date | None:
    cursor = await ports.state.read(lambda tx: tx.get(Cursor, connection.id, data_type))
    return None if cursor is None else date.fromisoformat(cursor.through)


def _context(connection: Connection) -> MapContext:
    assert connection.account is not None
    return MapContext(
        patient_id=connection.patient,
        account=connection.account,
        device_reference=f"Device/{connection.device}",
        vendor=connection.vendor,
        zone=connection.zone,
    )


async def _finish(reader: Reader, course: _Course, provenance: str | None, *, full: bool) -> ConnectionView:
    """Write how it went into the connection, unless it was removed meanwhile, and tell it to who waits."""
    ports, now = reader.ports, reader.ports.clock.now()
    state = course.state or _state(reader, course)
    failures = reader.connection.failures + 1 if state == "error" else 0
    values: dict[str, Any] = {
        "state": state,
        "last_error": course.error,
        "leased_until": None,
        "failures": failures,
        "due_at": None if course.state else now + (course.retry_after or pause(failures)),
    }
    if any(metric.error is None for metric in course.metrics.values()):
        values["last_sync_at"] = now

    ended = Ended(
        connection=reader.connection.id,
        state=state,
        full=full,
        metrics=course.metrics,
        provenance=provenance,
        error=course.error,
    )

    def work(tx: StateTransaction) -> Connection:
        changed = tx.change(Connection, [("id", "=", reader.connection.id)], **values)
        tx.apply(*(Append(ended.event(now, each.patient)) for each in changed))
        return changed[0] if changed else msgspec.structs.replace(reader.connection, **values)

    return view(ports, await ports.state.write(work))


def pause(failures: int) -> timedelta:
    """Until the next sync, after so many in a row that failed."""
    return EVERY if failures == 0 else min(AGAIN_AFTER * 2 ** min(failures - 1, 20), EVERY)


def _state(reader: Reader, course: _Course) -> str:
    """Of a sync that the vendor did not end for good: `error` when nothing could be read at all."""
    if course.error is not None and all(metric.error is not None for metric in course.metrics.values()):
        return "error"
    missing = course.scope_missing or not set(reader.vendor.scopes) <= set(reader.connection.scopes)
    return "missing-scopes" if missing else "active"
