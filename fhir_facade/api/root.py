"""The outermost ASGI application: hot FHIR routes go straight to the FHIR API, everything else to FastAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from fastapi import FastAPI

from fhir_facade.api.fhir import FhirApi
from fhir_facade.api.wire import Receive, Scope, Send

WELL_KNOWN = "/fhir/.well-known/"


class Root:
    """Splits by path only. Ports are opened by whoever serves, so there is no lifespan to run."""

    def __init__(
        self,
        fhir: FhirApi,
        web: FastAPI,
        stop: Callable[[], None] = lambda: None,
        closing: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        """`stop` lets those who wait have an answer, `closing` ends what belongs to the application."""
        self._fhir = fhir
        self.web = web
        self.stop = stop
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            if (path == "/fhir" or path.startswith("/fhir/")) and not path.startswith(WELL_KNOWN):
                await self._fhir(scope, receive, send)
                return
        await self.web(scope, receive, send)

    async def close(self) -> None:
        """End what was begun and still goes on; after the last request."""
        for close in self._closing:
            await close()
