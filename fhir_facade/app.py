"""The only place that builds and joins things: ports from settings, the ASGI application from ports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version

from fhir_facade.adapters.client_key_sets import HttpKeySets
from fhir_facade.adapters.embedded import EmbeddedStore, EmbeddedUnit
from fhir_facade.adapters.hapi.store import open_store
from fhir_facade.adapters.intents import IntentUnit
from fhir_facade.adapters.keys import KeyFile, open_key_file
from fhir_facade.adapters.locks import PostgresLocks, ProcessLocks
from fhir_facade.adapters.memory import ProcessMemory
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.state.postgres import PostgresState
from fhir_facade.adapters.state.sqlite import SqliteState
from fhir_facade.adapters.streams import ProcessStreams
from fhir_facade.adapters.system_clock import RandomIds, SystemClock
from fhir_facade.adapters.vault import KeyFileVault
from fhir_facade.adapters.vendors.google_health import GoogleHealth
from fhir_facade.api.address import parse_networks
from fhir_facade.api.dependencies import WebDeps
from fhir_facade.api.fhir import FhirApi
from fhir_facade.api.oauth.dependencies import OAuthDeps
from fhir_facade.api.observe import Observer
from fhir_facade.api.root import Root
from fhir_facade.api.web import web_app
from fhir_facade.errors import FacadeError
from fhir_facade.flows.keys import refuse_lost_keys
from fhir_facade.flows.launch.issuer import Issuer
from fhir_facade.flows.launch.sign_in import SignIn
from fhir_facade.flows.launch.verify import TokenCache
from fhir_facade.flows.people import patients_of
from fhir_facade.ports import DeviceVendor, FhirStore, Locks, Ports, StateStore, UnitOfWork
from fhir_facade.settings import Settings
from fhir_facade.values import Deployment

SETTLE_EVERY_S = 5.0
_CLOCK = SystemClock()
_LOG = logging.getLogger(__name__)


@asynccontextmanager
async def open_ports(settings: Settings, *, guest: bool = False) -> AsyncIterator[Ports]:
    """Everything the rooms need, opened and closed in the right order.

    `guest` is a command beside a running server: it takes no lock on the data file and runs no background work.
    """
    async with AsyncExitStack() as stack:
        store, state, unit, locks = await _stores(settings, stack, guest=guest)
        keys = await _keys(settings, state)
        yield Ports(
            store=store,
            state=state,
            unit=unit,
            locks=locks,
            clock=_CLOCK,
            ids=RandomIds(),
            vault=KeyFileVault(keys),
            streams=ProcessStreams(),
            vendors=_vendors(settings),
            memory=ProcessMemory(),
            deployment=_deployment(settings),
        )


async def _stores(
    settings: Settings, stack: AsyncExitStack, *, guest: bool
) -> tuple[FhirStore, StateStore, UnitOfWork, Locks]:
    if settings.store == "embedded":
        file = _data_file(settings, stack, guest=guest)
        state = SqliteState(file)
        await state.migrate()
        store = EmbeddedStore(file, _CLOCK, integrity=settings.referential_integrity)
        store.start()
        return store, state, EmbeddedUnit(store, state.apply_changes), ProcessLocks()
    hapi = await stack.enter_async_context(open_store(settings.hapi_url, pool_size=settings.hapi_connections))
    rows, locks = await _state(settings, stack, guest=guest)
    unit = IntentUnit(hapi, hapi, rows, _CLOCK, RandomIds())
    if not guest:
        await unit.recover()
        sweeper = asyncio.create_task(_settle_forever(unit))
        stack.callback(sweeper.cancel)
    return hapi, rows, unit, locks


async def _settle_forever(unit: IntentUnit) -> None:
    """Settle what a crashed process left, for the life of this one."""
    while True:
        await asyncio.sleep(SETTLE_EVERY_S)
        try:
            await unit.settle()
        except FacadeError as error:
            _LOG.warning("intents.unsettled", extra={"error": type(error).__name__})


async def _state(settings: Settings, stack: AsyncExitStack, *, guest: bool) -> tuple[StateStore, Locks]:
    if not settings.rows_elsewhere:
        sqlite = SqliteState(_data_file(settings, stack, guest=guest))
        await sqlite.migrate()
        return sqlite, ProcessLocks()
    postgres, locks = PostgresState(settings.database_url), PostgresLocks(settings.database_url)
    stack.push_async_callback(postgres.close)
    stack.push_async_callback(locks.close)
    await postgres.migrate()
    return postgres, locks


def _data_file(settings: Settings, stack: AsyncExitStack, *, guest: bool) -> SqliteFile:
    file = SqliteFile(settings.data_file)
    file.open(guest=guest)
    stack.callback(file.close)
    return file


async def _keys(settings: Settings, state: StateStore) -> KeyFile:
    """The key file; made at the first start, except where HAPI's facade was told a name: replicas share that file."""
    path, named = settings.keys_path, settings.store == "hapi" and settings.keys_file is not None
    create = not named and not path.exists()
    if create:
        await refuse_lost_keys(state, str(path))
    return open_key_file(path, _CLOCK, create=create)


def _vendors(settings: Settings) -> dict[str, DeviceVendor]:
    """Vendors with a client id; the others are switched off."""
    if not settings.google_client_id:
        return {}
    google = GoogleHealth(
        authorize_url=settings.google_authorize_url,
        token_url=settings.google_token_url,
        revoke_url=settings.google_revoke_url,
        api_base=settings.google_health_api_base,
        client_id=settings.google_client_id,
        client_secret=settings.google_client_secret.get_secret_value(),
        clock=_CLOCK,
    )
    return {google.name: google}


def _deployment(settings: Settings) -> Deployment:
    return Deployment(
        fhir_url=settings.fhir_url,
        software_version=version("fhir-facade"),
        max_body_bytes=settings.max_body_bytes,
        max_transaction_entries=settings.max_transaction_entries,
        max_transaction_bytes=settings.max_transaction_bytes,
        max_batch_entries=settings.max_batch_entries,
        max_batch_bytes=settings.max_batch_bytes,
        total_always=settings.total_always,
        audit_required=settings.audit_required,
        sync_lookback_days=settings.sync_lookback_days,
    )


def create_app(settings: Settings, ports: Ports) -> Root:
    """The ASGI application: /fhir on its own fast path, everything else on FastAPI."""
    observer, tokens = Observer(), TokenCache(ports)
    trusted = parse_networks(settings.trusted_proxies)
    fhir = FhirApi(ports, tokens.verify, observer, trusted)
    sign_in = SignIn(ports, Issuer(settings.base_url), HttpKeySets(), partial(patients_of, ports))
    oauth = OAuthDeps(sign_in, settings.plain_loopback, trusted)
    return Root(fhir, web_app(WebDeps(oauth, tokens, observer, settings.sync_lookback_days)))
