"""The outermost ASGI application: hot FHIR routes go straight to the FHIR API, everything else to FastAPI."""

from __future__ import annotations

from fastapi import FastAPI

from fhir_facade.api.fhir import FhirApi
from fhir_facade.api.wire import Receive, Scope, Send

WELL_KNOWN = "/fhir/.well-known/"


class Root:
    """Splits by path only. Ports are opened by whoever serves, so there is no lifespan to run."""

    def __init__(self, fhir: FhirApi, web: FastAPI) -> None:
        self._fhir = fhir
        self.web = web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            if (path == "/fhir" or path.startswith("/fhir/")) and not path.startswith(WELL_KNOWN):
                await self._fhir(scope, receive, send)
                return
        await self.web(scope, receive, send)
