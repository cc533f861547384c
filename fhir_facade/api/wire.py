"""Bytes on the wire for the hot FHIR routes: headers, bodies with limits, compression; no framework in between.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from datetime import datetime
from email.utils import formatdate
from functools import lru_cache
from io import BytesIO
from typing import Any

import msgspec

from fhir_facade.errors import BadRequest, TooLarge, UnsupportedFormat

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

COMPRESS_FROM = 1400  # bytes: below one packet compression gains nothing
COMPRESS_LEVEL = 5
AT_ONCE = 256 * 1024  # bytes packed or unpacked while everybody else waits: a few milliseconds
LONGEST_PAUSE_S = 30.0
_WITHOUT_BODY = frozenset((204, 304))  # nor a length: https://www.rfc-editor.org/rfc/rfc9110#section-8.6
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

Headers = dict[bytes, bytes]

NO_SNIFFING = (b"x-content-type-options", b"nosniff")


def transport_security(base_url: str) -> tuple[tuple[bytes, bytes], ...]:
    """What keeps browsers on https for a year, where people reach us by it. https://www.rfc-editor.org/rfc/rfc6797"""
    told = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
    return (told,) if base_url.startswith("https:") else ()


def headers_of(scope: Scope) -> Headers:
    """Header names in lower case; of a repeated header the values are joined by commas. HTTP gives them as bytes."""
    found: Headers = {}
    for name, value in scope["headers"]:
        found[name] = found[name] + b", " + value if name in found else value
    return found


def text(headers: Headers, name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def request_id(headers: Headers, fresh: Callable[[], str]) -> str:
    """The caller's X-Request-ID when it is harmless, else a new one."""
    if b"x-request-id" not in headers:
        return fresh()
    given = headers[b"x-request-id"].decode("latin-1")
    return given if _REQUEST_ID.fullmatch(given) else fresh()


def http_date(moment: datetime) -> bytes:
    """`Sat, 21 Nov 2026 12:00:00 GMT`. https://www.rfc-editor.org/rfc/rfc9110#field.date"""
    return _http_date(int(moment.timestamp()))


@lru_cache(maxsize=512)
def _http_date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


async def read_body(receive: Receive, headers: Headers, *, limit: int, pause_s: float = LONGEST_PAUSE_S) -> bytes:
    """The whole body, unpacked when it came as gzip; TooLarge beyond `limit` bytes packed or unpacked. BadRequest for
    one that is broken, or that stops coming for `pause_s` seconds."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    received, size = BytesIO(), 0  # which gives its bytes away without a copy
    while True:
        message = await _next(receive, pause_s)
        if message["type"] == "http.disconnect":
            raise BadRequest("the connection ended before the body did")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        received.write(chunk)
        if not message.get("more_body", False):
            break
    body, encoding = received.getvalue(), headers.get(b"content-encoding")
    return body if encoding is None else await _plain(body, encoding, limit)


async def _next(receive: Receive, pause_s: float) -> MutableMapping[str, Any]:
    try:
        async with asyncio.timeout(pause_s):
            return await receive()
    except TimeoutError as error:
        raise BadRequest(f"nothing of the body came for {pause_s:g} s: send it again") from error


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes, the most that is accepted here: send it in parts")


async def _plain(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The body as it was before it was packed. Where that is more than a moment's work, a thread does it."""
    if encoding in (b"identity", b""):
        return body
    if encoding.lower() not in (
        b"gzip",
        b"x-gzip",
    ):  # one coding: https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1.3
        raise UnsupportedFormat("bodies may be sent plain or as gzip")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    data = _unpacked(unpacker, body, min(AT_ONCE, limit + 1))
    if not unpacker.eof and unpacker.unconsumed_tail and len(data) <= limit:
        data += await asyncio.to_thread(_unpacked, unpacker, unpacker.unconsumed_tail, limit + 1 - len(data))
    if len(data) > limit:
        raise _too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise BadRequest("the gzip body ends too early, or goes on after its end")
    return data


def _unpacked(unpacker: zlib._Decompress, packed: bytes, most: int) -> bytes:
    """At most so many bytes of it."""
    try:
        return unpacker.decompress(packed, most)
    except zlib.error as error:
        raise BadRequest("the body says it is gzip, but cannot be unpacked") from error


class Answer(msgspec.Struct, frozen=True):
    """`parts` instead of a body are sent as they come."""

    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]]
    parts: AsyncIterator[bytes] | None = None


async def respond(
    send: Send, answer: Answer, headers: Headers, *, head: bool = False, told: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Send the answer, with headers that are `told` of every answer, compressed where the caller takes gzip and it
    pays; a HEAD gets headers only."""
    if answer.parts is not None:
        await _respond_in_parts(send, answer, answer.parts, headers, told)
        return
    body, start = answer.body, [*answer.headers, *told]
    if len(body) >= COMPRESS_FROM and _takes_gzip(headers.get(b"accept-encoding", b"")):
        body = _packed(body) if len(body) <= AT_ONCE else await asyncio.to_thread(_packed, body)
        start.append((b"content-encoding", b"gzip"))
    if answer.status not in _WITHOUT_BODY:
        start.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": start})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def _respond_in_parts(
    send: Send, answer: Answer, parts: AsyncIterator[bytes], headers: Headers, told: Sequence[tuple[bytes, bytes]]
) -> None:
    """One part alone goes as any answer; of more, each is on its way before the next is made."""
    first, second = await anext(parts, b""), await anext(parts, None)
    if second is None:
        await respond(send, Answer(answer.status, first, answer.headers), headers, told=told)
        return
    packer = _packer() if _takes_gzip(headers.get(b"accept-encoding", b"")) else None
    extra = [(b"content-encoding", b"gzip")] if packer else []
    start = [*answer.headers, *told, *extra]
    await send({"type": "http.response.start", "status": answer.status, "headers": start})
    for part in (first, second):
        await _send_part(send, part, packer)
    async for part in parts:
        await _send_part(send, part, packer)
    await send({"type": "http.response.body", "body": packer.flush() if packer else b""})


async def _send_part(send: Send, part: bytes, packer: zlib._Compress | None) -> None:
    body = packer.compress(part) if packer else part
    if body:
        await send({"type": "http.response.body", "body": body, "more_body": True})


def _packer() -> zlib._Compress:
    return zlib.compressobj(COMPRESS_LEVEL, wbits=zlib.MAX_WBITS | 16)


def _packed(body: bytes) -> bytes:
    return gzip.compress(body, COMPRESS_LEVEL, mtime=0)


def _takes_gzip(accept: bytes) -> bool:
    """Whether gzip is acceptable: named without q=0. https://www.rfc-editor.org/rfc/rfc9110#field.accept-encoding"""
    for part in accept.lower().split(b","):
        name, _, weight = part.partition(b";")
        if name.strip() == b"gzip":
            return weight.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False
