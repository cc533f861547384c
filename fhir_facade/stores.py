"""Opens the stores a deployment names: one SQLite file, or HAPI beside SQLite or PostgreSQL."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Final

from fhir_facade.adapters.embedded import EmbeddedStore, EmbeddedUnit, Integrity
from fhir_facade.adapters.locks import FileLocks
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.state.sqlite import SqliteState
from fhir_facade.flows.alongside import again_and_again, alongside
from fhir_facade.ports import Clock, FhirStore, Ids, Locks, StateStore, UnitOfWork
from fhir_facade.rows.audit import AuditLine
from fhir_facade.settings import Settings

SETTLE_EVERY_S: Final = 5.0
BESIDE_HAPI_S: Final = 0.003
"""HAPI answers one request at a time, so each would have a commit of its own; what they save is HAPI's to use. The
embedded store answers a whole turn of the event loop at once: there it made reads a tenth slower."""


async def open_stores(
    settings: Settings, stack: AsyncExitStack, clock: Clock, ids: Ids, *, guest: bool
) -> tuple[FhirStore, StateStore, UnitOfWork, Locks]:
    """The FHIR store, the facade's own rows, and what writes both; closed with `stack`."""
    if settings.store == "embedded":
        file, state = await _sqlite(settings, stack, guest=guest)
        integrity = Integrity(settings.referential_integrity_on_write, settings.referential_integrity_on_delete)
        page_bytes, search_s = settings.max_page_bytes, settings.max_search_seconds
        store = EmbeddedStore(file, clock, integrity=integrity, page_bytes=page_bytes, search_s=search_s)
        store.start(guest=guest)
        return store, state, EmbeddedUnit(store, state.apply_changes), _file_locks(settings, stack)
    return await _over_hapi(settings, stack, clock, ids, guest=guest)


async def _over_hapi(
    settings: Settings, stack: AsyncExitStack, clock: Clock, ids: Ids, *, guest: bool
) -> tuple[FhirStore, StateStore, UnitOfWork, Locks]:
    from fhir_facade.adapters.hapi.store import open_store  # an embedded deployment does not load it
    from fhir_facade.adapters.intents import IntentUnit

    opened = open_store(
        settings.hapi_url,
        pool_size=settings.hapi_connections,
        page_bytes=settings.max_page_bytes,
        search_s=settings.max_search_seconds,
        whole=settings.referential_integrity_on_write,
    )
    hapi = await stack.enter_async_context(opened)
    rows, locks = await _state(settings, stack, guest=guest)
    unit = IntentUnit(hapi, hapi, rows, clock, ids)
    if not guest:
        await unit.recover()
        await stack.enter_async_context(alongside(again_and_again("settle", SETTLE_EVERY_S, unit.settle)))
    return hapi, rows, unit, locks


async def _state(settings: Settings, stack: AsyncExitStack, *, guest: bool) -> tuple[StateStore, Locks]:
    if not settings.rows_elsewhere:
        _, sqlite = await _sqlite(settings, stack, guest=guest, apart_s=BESIDE_HAPI_S)
        return sqlite, _file_locks(settings, stack)
    from fhir_facade.adapters.postgres_locks import PostgresLocks
    from fhir_facade.adapters.state.postgres import PostgresState  # nor this; a second of its start goes there

    postgres, locks = PostgresState(settings.database_url), PostgresLocks(settings.database_url)
    stack.push_async_callback(postgres.close)
    stack.push_async_callback(locks.close)
    await postgres.migrate()
    return postgres, locks


async def _sqlite(
    settings: Settings, stack: AsyncExitStack, *, guest: bool, apart_s: float = 0.0
) -> tuple[SqliteFile, SqliteState]:
    """The file and the facade's rows in it. Only who answers requests has lines of the audit to spool."""
    file = SqliteFile(settings.data_file, apart_s=apart_s)
    file.open()
    stack.callback(file.close)
    state = SqliteState(file, spooled=AuditLine)
    await state.migrate()
    if not guest:
        stack.push_async_callback(state.close)
        await state.serve(apart_s=apart_s)
    return file, state


def _file_locks(settings: Settings, stack: AsyncExitStack) -> FileLocks:
    """Commands beside a server share them."""
    locks = FileLocks(settings.data_file.with_name("facade.locks"))
    stack.callback(locks.close)
    return locks
