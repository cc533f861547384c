"""Connections have limits: how many there are, how long and large the head of a request is, how long nobody reads.

https://www.rfc-editor.org/rfc/rfc9110#section-5.4; the body has limits of its own, in `api.wire`.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from typing import ClassVar
from urllib.parse import unquote

from httptools import parse_url
from uvicorn._types import ASGI3Application

from fhir_facade.cli.connections import Connections
from fhir_facade.cli.exchange import Exchange
from fhir_facade.cli.unread import WITHIN_S, Unread
from fhir_facade.cli.upgrades import NoUpgrades

LARGEST = 128 * 1024
ON_ITS_WAY_S = 0.1
_FRAGMENT = ord("#")  # a number, as in `exchange`: a byte is found in bytes without an exception on the way
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class BoundedHeads(NoUpgrades):
    """The server's protocol, which by itself waits for a head for ever and keeps whatever comes of it, and waits as
    long for somebody who does not read."""

    within_s: ClassVar[float] = 30.0
    unread_s: ClassVar[float] = WITHIN_S
    places: ClassVar[Connections] = Connections(sys.maxsize, sys.maxsize)
    _pending = 0
    _timer: asyncio.TimerHandle | None = None
    _peer: str | None = None
    _unread: Unread | None = None
    _answering: Exchange | None = None
    pipeline: deque[tuple[Exchange, ASGI3Application]]  # type: ignore[assignment]  # as this one makes them
    _rests_since = 0.0
    _resting: asyncio.TimerHandle | None = None
    _refusal: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        if not self.places.take(peer):
            transport.write(BUSY)
            transport.close()
            return
        self._peer = peer
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        self._read()
        if self._resting is not None:
            self._resting.cancel()
        if self._peer is not None:
            self.places.leave(self._peer)
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._pending += len(data)
        self._parse(data)
        if self._pending > LARGEST:
            self._close()
        elif self._pending and self._timer is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """As the server does it, for the exchange of our own. ValueError, which is answered with 400, for a tunnel, and
        where it is not clear whose host is meant: https://www.rfc-editor.org/rfc/rfc9112#section-3.2"""
        version, before = self.parser.get_http_version(), self.cycle
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = version
        if self.parser.should_upgrade():
            if self.scope["method"] == "CONNECT":
                raise ValueError("no tunnels")
            return
        self._arrived()
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            raise ValueError("one Host is needed")
        raw_path, query = _target(self.url)
        path = raw_path.decode("ascii")
        self.scope["path"] = unquote(path) if "%" in path else path
        self.scope["raw_path"] = raw_path
        self.scope["query_string"] = query
        self.cycle = Exchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue and version != "1.0",
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        self.headers = []  # what comes behind the body is none of them: https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1

    def _start_asgi_task(self, cycle: Exchange, app: ASGI3Application) -> None:  # type: ignore[override]  # as in `pipeline`
        self._answering = cycle  # the server knows the last one that came, which may wait behind it
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """Behind the answers to what came in order before: https://www.rfc-editor.org/rfc/rfc9112#section-9.3.2"""
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()  # the one whose body is refused
        elif self._answering is self.cycle and self.cycle is not None and self.cycle.more_body:
            self._refuse(msg)
            return
        if self._answering is None or self._answering.response_complete:
            self._refuse(msg)
            return
        self._refusal = msg
        self._arrived()

    def _refuse(self, msg: str) -> None:
        super().send_400_response(msg)
        self._leave()

    def on_body(self, body: bytes) -> None:
        self._arrived()
        super().on_body(body)

    def on_chunk_complete(self) -> None:
        """Behind the last one there may be fields that end the connection: the parser takes nothing after them."""
        if not self.parser.should_keep_alive():
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self._close()

    def eof_received(self) -> bool:  # type: ignore[override]  # the server ends the connection in any case
        """What was asked whole is answered before the connection ends. But whoever is gone looks the same: an answer
        that waits for just that is over. https://www.rfc-editor.org/rfc/rfc9112#section-9.6"""
        self._arrived()
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()
        first = self._answering
        if first is None or first.response_complete or first.more_body or first.listens:
            return False
        asked = [*(cycle for cycle, _ in self.pipeline), first]
        for each in asked:
            each.nothing_follows = True
        if self._refusal is None:  # which follows the last answer
            asked[0].keep_alive = False
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._read()

    def on_response_complete(self) -> None:
        """As the server does it, with one timer for a connection instead of one for each answer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        if self._refusal is not None:
            self._refuse(self._refusal)
            return
        self._rests_since = self.loop.time()
        if self._resting is None:
            self._resting = self.loop.call_later(self.timeout_keep_alive, self._end_rest)

    def _end_rest(self) -> None:
        """Close a connection on which nothing was asked for long enough; of one that is at work, the end is looked for
        behind its next answer."""
        self._resting = None
        if not self.cycle.response_complete or self._timer is not None:
            return
        left = self._rests_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._resting = self.loop.call_later(left, self._end_rest)
        else:
            self._close()

    def shutdown(self) -> None:
        """What was sent before the server began to end, and is not read yet, is answered."""
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(ON_ITS_WAY_S, super().shutdown)
        else:
            super().shutdown()

    def _close(self) -> None:
        """In order, which waits for what is not read."""
        self.transport.close()
        self._leave()
        if self.transport.get_write_buffer_size():
            self._watch()

    def _leave(self) -> None:
        """Nobody waits for an answer any more: who is about to give one is told before the connection is lost."""
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def _watch(self) -> None:
        if self._unread is None:
            self._unread = Unread(self.transport, self.unread_s)
        self._unread.watch()

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.end()

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.within_s, self._close)

    def _arrived(self) -> None:
        self._pending = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _target(url: bytes) -> tuple[bytes, bytes]:
    """Path and query of what is asked for. The usual form needs no parser: it is a path from the root of this host."""
    if url[:1] == b"/" and url[1:2] != b"/" and _FRAGMENT not in url:
        path, _, query = url.partition(b"?")
        return path, query
    target = parse_url(url)
    return target.path or b"/", target.query or b""  # https://www.rfc-editor.org/rfc/rfc9110#section-4.2.3


def limited_to(places: Connections) -> type[BoundedHeads]:
    """The protocol of a process whose connections are counted there."""

    class Counted(BoundedHeads):
        pass

    Counted.places = places
    return Counted
