"""Builds the ASGI application from ports: with `opening.py`, the only place that builds and joins things."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fhir_facade.adapters.client_key_sets import HttpKeySets
from fhir_facade.api.address import parse_networks
from fhir_facade.api.dependencies import WebDeps
from fhir_facade.api.fhir import FhirApi
from fhir_facade.api.oauth.dependencies import OAuthDeps
from fhir_facade.api.observe import Observer
from fhir_facade.api.root import Root
from fhir_facade.api.web import web_app
from fhir_facade.flows.background import RunningSyncs, background
from fhir_facade.flows.launch.issuer import Issuer
from fhir_facade.flows.launch.sign_in import SignIn
from fhir_facade.flows.launch.verify import TokenCache
from fhir_facade.flows.people import patients_of
from fhir_facade.opening import open_ports
from fhir_facade.ports import Ports
from fhir_facade.settings import Settings

__all__ = ["create_app", "open_ports", "running"]


def create_app(settings: Settings, ports: Ports, metrics_folder: str | None = None) -> Root:
    """The ASGI application: /fhir on its own fast path, everything else on FastAPI. `close` it."""
    observer, tokens, syncs, key_sets = Observer(metrics_folder), TokenCache(ports), RunningSyncs(ports), HttpKeySets()
    trusted = parse_networks(settings.trusted_proxies)
    fhir = FhirApi(ports, tokens.verify, observer, trusted)
    sign_in = SignIn(ports, Issuer(settings.base_url), key_sets, partial(patients_of, ports))
    oauth = OAuthDeps(sign_in, settings.plain_loopback, trusted)
    web = web_app(WebDeps(oauth, tokens, observer, syncs, settings.metrics_token.get_secret_value()))
    return Root(fhir, web, syncs.stop, (syncs.close, key_sets.close))


@asynccontextmanager
async def running(settings: Settings, ports: Ports, metrics_folder: str | None = None) -> AsyncIterator[Root]:
    """The application and what it does unasked, for the life of the block. Processes of one server share the folder
    of their metrics."""
    app = create_app(settings, ports, metrics_folder)
    try:
        async with background(ports, app.web.state.deps.syncs):
            yield app
    finally:
        await app.close()
