"""One request and its answer on a connection: an answer whose length is known leaves in one piece, head and body.

The server's own makes two packets of it, each with a call of the kernel and a wake-up of whoever reads, and asks
regular expressions about each header. https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_LF, _CR = b"\n\r"  # numbers: bytes are looked for in bytes with an exception of the interpreter on the way
_line = b": ".join
_LENGTH: Final = b"content-length"
_ENDING: Final = b"the server ends before it has answered: look whether it was done before you ask again"
_BY_THE_SERVER: Final = frozenset((b"connection", b"transfer-encoding"))


class Exchange(RequestResponseCycle):
    """Whatever is not a head with its length and then the whole body is sent by the server itself. It would send chunks
    to a client that does not know them: https://www.rfc-editor.org/rfc/rfc9112#section-6.1"""

    _start: Any = None
    _told: int | None = None
    _until_closed = False
    listens = False
    """Whoever answers waits for the other side to go."""
    nothing_follows = False
    """The other side has ended its half of the connection, or is gone: nobody can tell until something is sent."""

    async def run_asgi(self, app: ASGI3Application) -> None:
        await super().run_asgi(partial(self._to_the_end, app))

    async def _to_the_end(self, app: ASGI3Application, scope: Any, receive: Any, send: Any) -> None:
        """Whoever is not answered when a server that ends waits no longer is told so; that is no defect."""
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                raise  # what it waited for was ended, not the request
            if self.response_started:
                self.transport.close()
                self.disconnected = True
                return
            self.keep_alive = False
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (_LENGTH, b"%d" % len(_ENDING))]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": _ENDING})

    async def receive(self) -> Any:
        if not self.more_body and not self.message_event.is_set():
            self.listens = True
            if self.nothing_follows:
                self.disconnected = True
                self.transport.close()
        return await super().receive()

    async def send(self, message: Any) -> None:
        if not self.response_started and message["type"] == "http.response.start":
            if self.waiting_for_100_continue and self.more_body and not self.body:
                self.keep_alive = False  # the body may come or not: what comes next may be either
            self._told = _length(message)
            if self.scope["http_version"] < "1.1" and not _has_length(message):
                self._until_closed, self.chunked_encoding = True, False
            self._start = None if self._told is None else message  # of an application that failed behind it, the error
        elif self._start is not None:
            start, self._start = self._start, None
            if self._is_whole(message):
                self._send_whole(start, message)
                return
            await super().send(start)
        if self._until_closed and message["type"] == "http.response.body":
            self.expected_content_length = len(message.get("body", b""))
        if self._start is None:
            await super().send(message)

    def _is_whole(self, message: Any) -> bool:
        if message["type"] != "http.response.body" or message.get("more_body", False) or self.flow.write_paused:
            return False
        return self.scope["method"] == "HEAD" or len(message.get("body", b"")) == self._told

    def _send_whole(self, start: Any, message: Any) -> None:
        """RuntimeError: a header holds what would end it, and perhaps begin another.
        https://cwe.mitre.org/data/definitions/113.html"""
        if self.disconnected:
            return
        headers = [*self.default_headers, *start["headers"]]
        head = b"\0".join(map(_line, headers))
        if head.count(b"\0") >= len(headers) or _LF in head or _CR in head:
            raise RuntimeError("a header of the answer holds a line break")
        self.response_started = True
        self.waiting_for_100_continue = False
        body = b"" if self.scope["method"] == "HEAD" else message.get("body", b"")
        last = b"\r\n\r\n" if self.keep_alive else b"\r\nconnection: close\r\n\r\n"
        whole = b"".join((STATUS_LINE[start["status"]], head.replace(b"\0", b"\r\n"), last))
        self.transport.writelines((whole, body))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _length(start: Any) -> int | None:
    """What the head says; None when it does not, or says more about the connection than that."""
    found = None
    for name, value in start.get("headers", ()):
        if name == _LENGTH:
            found = int(value)
        elif name in _BY_THE_SERVER:
            return None
    return found


def _has_length(start: Any) -> bool:
    return any(name == _LENGTH for name, _ in start.get("headers", ()))
