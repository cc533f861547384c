"""Opens the ports of a deployment, for the application as well as for a command; `app.py` builds on them.

What a start need not load is imported where it is used: `/health` is answered within a second, a command ends sooner.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fhir_facade.adapters.keys import KeyFile, open_key_file
from fhir_facade.adapters.memory import Marks, ProcessMemory
from fhir_facade.adapters.streams import PolledStreams, ProcessStreams
from fhir_facade.adapters.system_clock import RandomIds, SystemClock
from fhir_facade.adapters.vault import KeyFileVault
from fhir_facade.flows.alongside import alongside
from fhir_facade.ports import DeviceVendor, Mailer, Ports, StateStore, Streams
from fhir_facade.rows.events import Event
from fhir_facade.settings import Settings
from fhir_facade.stores import open_stores
from fhir_facade.values import Deployment

_CLOCK, _IDS = SystemClock(), RandomIds()


@asynccontextmanager
async def open_ports(settings: Settings, *, guest: bool = False, marks: Marks | None = None) -> AsyncIterator[Ports]:
    """Everything the rooms need, opened and closed in the right order.

    `guest` is a command beside a running server, which does no background work. `marks` are shared by the processes
    of a server.
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
            memory=ProcessMemory(marks=marks),
            deployment=_deployment(settings),
            mailer=_mailer(settings),
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
        from fhir_facade.flows.keys import refuse_lost_keys

        await refuse_lost_keys(state, str(path))
    return open_key_file(path, _CLOCK, create=create)


def _vendors(settings: Settings, stack: AsyncExitStack) -> dict[str, DeviceVendor]:
    """Vendors with a client id; the others are switched off."""
    if not settings.google_client_id:
        return {}
    from fhir_facade.adapters.vendors.google_health import GoogleHealth

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


def _mailer(settings: Settings) -> Mailer | None:
    url = settings.smtp_url.get_secret_value()
    if not url:
        return None
    from fhir_facade.adapters.smtp import open_mailer

    return open_mailer(url, settings.mail_from)


def _deployment(settings: Settings) -> Deployment:
    return Deployment(
        fhir_url=settings.fhir_url,
        software_version=version("fhir-facade"),
        max_body_bytes=settings.max_body_bytes,
        max_page_bytes=settings.max_page_bytes,
        max_transaction_entries=settings.max_transaction_entries,
        max_transaction_bytes=settings.max_transaction_bytes,
        max_batch_entries=settings.max_batch_entries,
        max_batch_bytes=settings.max_batch_bytes,
        total_always=settings.total_always,
        conditional_delete_many=settings.conditional_delete_many,
        references_enforced=settings.referential_integrity_on_write,
        deletes_checked=settings.referential_integrity_on_delete,
        audit_required=settings.audit_required,
        audit_kept_days=settings.audit_kept_days,
        audit_copied=settings.audit_copy and settings.store == "hapi",
        sync_lookback_days=settings.sync_lookback_days,
        self_registration=settings.self_registration,
        full_text=settings.store == "embedded",
    )
