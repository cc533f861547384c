"""The only place that builds and joins things: ports from settings, the ASGI application from ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version

from fhir_facade.adapters.client_key_sets import HttpKeySets
from fhir_facade.adapters.keys import KeyFile, open_key_file
from fhir_facade.adapters.memory import ProcessMemory
from fhir_facade.adapters.streams import PolledStreams, ProcessStreams
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
from fhir_facade.flows.background import RunningSyncs, alongside, background
from fhir_facade.flows.keys import refuse_lost_keys
from fhir_facade.flows.launch.issuer import Issuer
from fhir_facade.flows.launch.sign_in import SignIn
from fhir_facade.flows.launch.verify import TokenCache
from fhir_facade.flows.people import patients_of
from fhir_facade.ports import DeviceVendor, Ports, StateStore, Streams
from fhir_facade.rows.events import Event
from fhir_facade.settings import Settings
from fhir_facade.stores import open_stores
from fhir_facade.values import Deployment

_CLOCK, _IDS = SystemClock(), RandomIds()


@asynccontextmanager
async def open_ports(settings: Settings, *, guest: bool = False) -> AsyncIterator[Ports]:
    """Everything the rooms need, opened and closed in the right order.

    `guest` is a command beside a running server: it takes no lock on the data file and runs no background work.
    """
    async with AsyncExitStack() as stack:
        store, state, unit, locks = await open_stores(settings, stack, _CLOCK, _IDS, guest=guest)
        keys = await _keys(settings, state)
        yield Ports(
            store=store,
            state=state,
            unit=unit,
            locks=locks,
            clock=_CLOCK,
            ids=_IDS,
            vault=KeyFileVault(keys),
            streams=await _streams(state, stack, guest=guest),
            vendors=_vendors(settings, stack),
            memory=ProcessMemory(),
            deployment=_deployment(settings),
        )


async def _streams(state: StateStore, stack: AsyncExitStack, *, guest: bool) -> Streams:
    """Events also come from other processes: replicas, and commands beside a server."""
    if guest:
        return ProcessStreams()
    streams = PolledStreams(state, Event)
    await stack.enter_async_context(alongside(streams.run()))
    return streams


async def _keys(settings: Settings, state: StateStore) -> KeyFile:
    """The key file; made at the first start, except where HAPI's facade was told a name: replicas share that file."""
    path, named = settings.keys_path, settings.store == "hapi" and settings.keys_file is not None
    create = not named and not path.exists()
    if create:
        await refuse_lost_keys(state, str(path))
    return open_key_file(path, _CLOCK, create=create)


def _vendors(settings: Settings, stack: AsyncExitStack) -> dict[str, DeviceVendor]:
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
    stack.push_async_callback(google.close)
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
    """The ASGI application: /fhir on its own fast path, everything else on FastAPI. `close` it."""
    observer, tokens, syncs, key_sets = Observer(), TokenCache(ports), RunningSyncs(ports), HttpKeySets()
    trusted = parse_networks(settings.trusted_proxies)
    fhir = FhirApi(ports, tokens.verify, observer, trusted)
    sign_in = SignIn(ports, Issuer(settings.base_url), key_sets, partial(patients_of, ports))
    oauth = OAuthDeps(sign_in, settings.plain_loopback, trusted)
    return Root(fhir, web_app(WebDeps(oauth, tokens, observer, syncs)), syncs.stop, (syncs.close, key_sets.close))


@asynccontextmanager
async def running(settings: Settings, ports: Ports) -> AsyncIterator[Root]:
    """The application and what it does unasked, for the life of the block."""
    app = create_app(settings, ports)
    try:
        async with background(ports, app.web.state.deps.syncs):
            yield app
    finally:
        await app.close()
