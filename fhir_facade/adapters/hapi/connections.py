"""HTTP/1.1 connections to one server: a request is one write, an answer wakes its caller once, and both stay bytes.

It takes a fifth of a general client's processor time, which beside a read of HAPI is a quarter of everything.
https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

import httptools

CONNECT_TIMEOUT_S: Final = 3.0
KEEP_ALIVE_S: Final = 15.0  # Tomcat closes after 20 s; a connection that it closes under us would fail a request
_GZIP: Final = zlib.MAX_WBITS | 16


@dataclass(slots=True)
class Received:
    """An answer; `headers` by name in lower case, the body unpacked. `overlong`: it was longer than the caller wants to
    read, so there is no body."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    overlong: bool = False


class Address:
    """Where a base URL points to, as sockets and as the `Host` header want it. ValueError for anything but HTTP."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ValueError(f"{base_url} is no http or https address")
        self.path = parts.path
        self.host = parts.hostname
        self.tls = ssl.create_default_context() if parts.scheme == "https" else None
        self.port = parts.port or (443 if self.tls else 80)
        credentials, _, netloc = parts.netloc.rpartition("@")
        basic = b64encode(unquote(credentials).encode()).decode()
        self.headers = f"Host: {netloc}\r\n" + (f"Authorization: Basic {basic}\r\n" if credentials else "")


class _Connection(asyncio.Protocol):
    """One request at a time. After an error or a cancelled request it is closed: an answer may still be on its way."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._caller: asyncio.Future[Received] | None = None
        self._received = Received()
        self._parts: list[bytes] = []
        self._most: int | None = None
        self._length = 0
        self._idle_since = self._loop.time()
        self.heard = False

    @property
    def reusable(self) -> bool:
        fresh = self._loop.time() - self._idle_since < KEEP_ALIVE_S
        return fresh and self._caller is None and self._transport is not None and not self._transport.is_closing()

    async def ask(self, message: bytes, most: int | None) -> Received:
        """ConnectionError when no whole answer came. More than `most` bytes are not read to their end."""
        if self._transport is None:
            raise ConnectionResetError("the server closed the connection")
        self._caller = self._loop.create_future()
        self._most, self._length = most, 0
        self.heard = False
        self._transport.write(message)
        try:
            return await self._caller
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # --- what the transport tells --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.heard = True
        if self._caller is None:  # nobody asked
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ConnectionAbortedError(f"the answer is no HTTP: {type(error).__name__}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(ConnectionResetError("the server closed the connection"))

    def _fail(self, error: ConnectionError) -> None:
        if self._caller is not None and not self._caller.done():
            self._caller.set_exception(error)
        self.close()

    # --- what the parser tells -----------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self._received.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)
        self._length += len(body)
        if self._most is not None and self._length > self._most:
            self._end_overlong()

    def on_message_complete(self) -> None:
        received, parts = self._received, self._parts
        received.status = self._parser.get_status_code()
        self._received, self._parts = Received(), []
        if received.status < 200:  # not the answer yet
            return
        packed = received.headers.get(b"content-encoding") == b"gzip" and parts
        received.body = _unpacked(parts, self._most) if packed else b"".join(parts)
        if self._most is not None and len(received.body) > self._most:
            received.body, received.overlong = b"", True
        caller, self._caller, self._idle_since = self._caller, None, self._loop.time()
        if caller is None or not self._parser.should_keep_alive():
            self.close()
        if caller is not None and not caller.done():
            caller.set_result(received)

    def _end_overlong(self) -> None:
        caller, self._caller, self._parts = self._caller, None, []
        if caller is not None and not caller.done():
            caller.set_result(Received(self._parser.get_status_code(), self._received.headers, overlong=True))
        self.close()


def _unpacked(parts: list[bytes], most: int | None) -> bytes:
    """One byte more than is wanted tells that there are more."""
    packed = b"".join(parts)
    if most is None:
        return zlib.decompress(packed, _GZIP)
    unpacker = zlib.decompressobj(_GZIP)
    found = unpacker.decompress(packed, most + 1)
    if len(found) <= most and not unpacker.eof:
        raise zlib.error("the packed answer ends too early")
    return found


class Connections:
    """At most `limit` connections to one address; callers beyond that wait. `close` ends it."""

    def __init__(self, address: Address, *, limit: int) -> None:
        self._address = address
        self._places = asyncio.Semaphore(limit)
        self._idle: list[_Connection] = []
        self._closed = False

    async def ask(self, message: bytes, *, repeatable: bool, most: int | None = None) -> Received:
        """Send a whole request and return its answer. OSError when there is none; `repeatable` ones are sent once
        more when a kept connection turns out to be dead. `most` bytes of an answer are read; None: all."""
        async with self._places:
            kept = self._kept()
            if kept is not None:
                try:
                    return await self._asked(kept, message, most)
                except ConnectionError:
                    if not repeatable or kept.heard:
                        raise
            return await self._asked(await self._connected(), message, most)

    async def _asked(self, connection: _Connection, message: bytes, most: int | None) -> Received:
        received = await connection.ask(message, most)
        if self._closed:
            connection.close()
        elif connection.reusable:
            self._idle.append(connection)
        return received

    def _kept(self) -> _Connection | None:
        """The connection that was used last, so that those which a quiet time leaves over grow old."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
            connection.close()
        return None

    async def _connected(self) -> _Connection:
        at = self._address
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(_Connection, at.host, at.port, ssl=at.tls)
        except TimeoutError as error:
            raise ConnectionRefusedError(f"no connection within {CONNECT_TIMEOUT_S:g} s") from error
        return connection

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()
