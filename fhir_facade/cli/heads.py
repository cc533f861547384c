"""The head of a request has an end: connections that send none, or one too large, are closed.

https://www.rfc-editor.org/rfc/rfc9110#section-5.4; the body has limits of its own, in `api.wire`.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST = 128 * 1024


class BoundedHeads(HttpToolsProtocol):
    """The server's protocol, which by itself waits for a head for ever and keeps whatever comes of it."""

    within_s: ClassVar[float] = 30.0
    _pending = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._pending += len(data)
        super().data_received(data)
        if self._pending > LARGEST:
            self.transport.close()
        elif self._pending and self._timer is None:
            self._wait()

    def on_headers_complete(self) -> None:
        self._arrived()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._arrived()
        super().on_body(body)

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.within_s, self.transport.close)

    def _arrived(self) -> None:
        self._pending = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
