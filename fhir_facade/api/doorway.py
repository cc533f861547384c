"""The outermost application of a server: it answers /health from the first moment on, while the rest is being loaded.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from fhir_facade.api.readiness import NOT_STORED, readiness
from fhir_facade.api.wire import NO_SNIFFING, Receive, Scope, Send, headers_of, request_id, transport_security
from fhir_facade.ports import Ports

if TYPE_CHECKING:
    from fhir_facade.api.root import Root

ENDING = b"the server ends before it has begun; ask again"
JSON, TEXT = "application/json", "text/plain; charset=utf-8"


class Doorway:
    """Requests for anything but /health wait until `open`, and are refused with 503 after `stop`."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._inside: Root | None = None
        self._settled = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._inside is None:
            if scope["path"] == "/health" and scope["method"] in ("GET", "HEAD"):
                status, content = await readiness(self._ports)
                await self._answer(scope, send, status, JSON, msgspec.json.encode(content))
                return
            await self._settled.wait()
        if self._inside is None:
            await self._answer(scope, send, 503, TEXT, ENDING)
            return
        await self._inside(scope, receive, send)

    def open(self, application: Root) -> None:
        """From now on it answers everything."""
        self._inside = application
        self._settled.set()

    def stop(self) -> None:
        """Those who wait get an answer."""
        self._settled.set()
        if self._inside is not None:
            self._inside.stop()

    async def _answer(self, scope: Scope, send: Send, status: int, media_type: str, body: bytes) -> None:
        rid = request_id(headers_of(scope), self._ports.ids.new)
        headers = {"Content-Type": media_type, "Content-Length": str(len(body)), "X-Request-ID": rid, **NOT_STORED}
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        encoded += [NO_SNIFFING, *transport_security(self._ports.deployment.fhir_url)]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": body})
