"""Bundles in and out as bytes: entries are cut out and put together without touching what is inside them.

https://hl7.org/fhir/R4/bundle.html, https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import msgspec

from fhir_facade.errors import BadRequest, TooLarge
from fhir_facade.fhir.document import instant
from fhir_facade.values import StoredResource

Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"))


class _Request(msgspec.Struct, rename="camel", kw_only=True):
    method: str = ""
    url: str = ""
    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_none_exist: str | None = None


class _Entry(msgspec.Struct, rename="camel", kw_only=True):
    full_url: str | None = None
    resource: msgspec.Raw = msgspec.Raw(b"")
    request: _Request | None = None


class _Named(msgspec.Struct, rename="camel", kw_only=True):
    resource_type: str = ""
    id: str = ""


class _Bundle(msgspec.Struct, rename="camel", kw_only=True):
    resource_type: str = ""
    type: str = ""
    entry: list[msgspec.Raw] = []


@dataclass(frozen=True, slots=True)
class BundleEntry:
    """One entry as it was sent. `resource` holds its own bytes, empty when there is none."""

    method: Method
    url: str
    full_url: str | None = None
    resource: bytes = b""
    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_none_exist: str | None = None


@dataclass(frozen=True, slots=True)
class ParsedBundle:
    type: str
    entries: tuple[BundleEntry, ...]


PART_BYTES: Final = 64 * 1024
"""Of an answer that leaves in parts."""
CHECKED_AT_ONCE: Final = 64 * 1024

_BUNDLES = msgspec.json.Decoder(_Bundle)
_ENTRIES = msgspec.json.Decoder(_Entry)
_NAMED = msgspec.json.Decoder(_Named)


def parse_bundle(body: bytes, *, max_entries: int) -> ParsedBundle:
    """A transaction as sent. BadRequest names the entry that is wrong; TooLarge the limit."""
    bundle = _parsed(body, max_entries)
    return ParsedBundle(bundle.type, tuple(_entry(i, entry) for i, entry in enumerate(bundle.entry)))


def parse_batch(body: bytes, *, max_entries: int) -> Iterator[BundleEntry | BadRequest]:
    """The entries of a batch as sent, with what is wrong in the place of one that is: the others are done all the same.
    Each is cut out when it is asked for, so that they are never all in memory twice. At once BadRequest for what is no
    Bundle, TooLarge with the limit."""
    raws = _parsed(body, max_entries).entry
    _refuse_no_text(body)
    return (_entry_or_fault(i, raw) for i, raw in enumerate(raws))


def _refuse_no_text(body: bytes) -> None:
    """JSON is UTF-8 from its first byte to its last. https://www.rfc-editor.org/rfc/rfc8259#section-8.1"""
    if body.isascii():
        return
    decoder, view = getincrementaldecoder("utf-8")(), memoryview(body)
    try:
        for start in range(0, len(body), CHECKED_AT_ONCE):
            decoder.decode(view[start : start + CHECKED_AT_ONCE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise BadRequest(f"this is no Bundle: {error.reason} in what should be UTF-8") from error


def _parsed(body: bytes, max_entries: int) -> _Bundle:
    try:
        bundle = _BUNDLES.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"this is no Bundle: {error}") from error
    except RecursionError as error:
        raise BadRequest("this is no Bundle: it is nested too deep") from error
    if bundle.resource_type != "Bundle":
        raise BadRequest("a Bundle of type batch or transaction is expected here", expression="Bundle.resourceType")
    if len(bundle.entry) > max_entries:
        raise TooLarge(f"{len(bundle.entry)} entries: at most {max_entries} are accepted in one Bundle, send several")
    return bundle


def _entry_or_fault(position: int, raw: msgspec.Raw) -> BundleEntry | BadRequest:
    try:
        return _entry(position, raw)
    except BadRequest as fault:
        return fault


def _entry(position: int, raw: msgspec.Raw) -> BundleEntry:
    path = f"Bundle.entry[{position}]"
    try:
        entry = _ENTRIES.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"entry {position} is none: {error}", expression=path) from error
    request, path = entry.request, f"{path}.request"
    if request is None:
        raise BadRequest(f"entry {position} has no request: method and url are needed", expression=path)
    if request.method not in _METHODS:
        raise BadRequest(f"'{request.method}' is no method of HTTP here", expression=f"{path}.method")
    url = request.url or _address(request.method, entry.resource)
    if not url:
        raise BadRequest(f"entry {position} has no url", expression=f"{path}.url")
    return BundleEntry(
        method=request.method,  # type: ignore[arg-type]  # checked against the table above
        url=url,
        full_url=entry.full_url,
        resource=bytes(entry.resource),
        if_match=request.if_match,
        if_none_match=request.if_none_match,
        if_modified_since=request.if_modified_since,
        if_none_exist=request.if_none_exist,
    )


def _address(method: str, resource: msgspec.Raw) -> str:
    """Where a resource is created or replaced whose entry has no url, as HAPI's client sends lists of resources. Empty
    when the resource does not say it, and of a Bundle, which may be meant for the base."""
    if method not in ("POST", "PUT") or not resource:
        return ""
    try:
        named = _NAMED.decode(resource)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    if named.resource_type == "Bundle":
        return ""
    parts = (named.resource_type,) if method == "POST" else (named.resource_type, named.id)
    return "/".join(parts) if all(parts) else ""


# --- out ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """An entry of a searchset: a match, an included resource, or an OperationOutcome without fullUrl."""

    body: bytes
    mode: Literal["match", "include", "outcome"]
    full_url: str | None = None


def searchset(
    entries: Iterable[Found],
    *,
    links: Sequence[tuple[str, str]],
    total: int | None,
    id: str,
    now: datetime,
) -> bytes:
    """A searchset Bundle; `links` are (relation, url)."""
    parts = [_found(entry) for entry in entries]
    return _bundle("searchset", parts, links=links, total=total, id=id, now=now)


def _found(entry: Found) -> bytes:
    tail = _ENDS[entry.mode]
    if entry.full_url is None:
        return b"".join((b'{"resource":', entry.body, tail))
    return b"".join((b'{"fullUrl":', _text(entry.full_url), b',"resource":', entry.body, tail))


_ENDS = {mode: b',"search":{"mode":"' + mode.encode() + b'"}}' for mode in ("match", "include", "outcome")}


def history_bundle(
    versions: Iterable[StoredResource],
    *,
    base_url: str,
    links: Sequence[tuple[str, str]],
    total: int | None,
    id: str,
    now: datetime,
) -> bytes:
    """A history Bundle: each entry says the request that made the version and its response."""
    parts = [_version(version, base_url) for version in versions]
    return _bundle("history", parts, links=links, total=total, id=id, now=now)


_MADE_BY = {
    "created": (b"POST", b"201 Created"),
    "updated": (b"PUT", b"200 OK"),
    "deleted": (b"DELETE", b"204 No Content"),
}


def _version(version: StoredResource, base_url: str) -> bytes:
    method, status = _MADE_BY["deleted" if version.deleted else version.change or "updated"]
    url = version.type if method == b"POST" else str(version.ref)
    resource = b"" if version.deleted else b'"resource":' + version.body + b","
    return b"".join(
        (
            b'{"fullUrl":' + _text(f"{base_url}/{version.ref}") + b"," + resource,
            b'"request":{"method":"' + method + b'","url":' + _text(url) + b"},",
            b'"response":{"status":"' + status + b'","etag":' + _text(f'W/"{version.version}"'),
            b',"lastModified":"' + instant(version.last_updated).encode() + b'"}}',
        )
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """The response of one entry of a batch or transaction."""

    status: str
    location: str | None = None
    etag: str | None = None
    last_modified: datetime | None = None
    resource: bytes = b""
    outcome: bytes = b""
    full_url: str | None = None


ResponseKind = Literal["batch-response", "transaction-response"]


async def response_parts(kind: ResponseKind, answers: AsyncIterable[Answered], *, id: str) -> AsyncIterator[bytes]:
    """The response Bundle in parts of PART_BYTES or the size of an entry, each as soon as it is answered."""
    parts, lead = [_head(kind, links=(), total=None, id=id, now=None)], b',"entry":['
    size = 0
    async for answer in answers:
        entry = _answer(answer)
        parts += (lead, entry)
        lead, size = b",", size + len(entry)
        if size >= PART_BYTES:
            yield b"".join(parts)
            parts.clear()
            size = 0
    parts.append(b"]}" if lead == b"," else b"}")
    yield b"".join(parts)


def _answer(answer: Answered) -> bytes:
    parts: list[bytes] = []
    if answer.full_url is not None and answer.resource:
        parts.append(b'"fullUrl":' + _text(answer.full_url))
    if answer.resource:
        parts.append(b'"resource":' + answer.resource)
    response = [b'"status":' + _text(answer.status)]
    if answer.location is not None:
        response.append(b'"location":' + _text(answer.location))
    if answer.etag is not None:
        response.append(b'"etag":' + _text(answer.etag))
    if answer.last_modified is not None:
        response.append(b'"lastModified":"' + instant(answer.last_modified).encode() + b'"')
    if answer.outcome:
        response.append(b'"outcome":' + answer.outcome)
    parts.append(b'"response":{' + b",".join(response) + b"}")
    return b"{" + b",".join(parts) + b"}"


def _bundle(
    type: str,
    entries: Sequence[bytes],
    *,
    links: Sequence[tuple[str, str]],
    total: int | None,
    id: str,
    now: datetime | None,
) -> bytes:
    """Empty arrays are left out, as JSON of FHIR demands."""
    head = _head(type, links=links, total=total, id=id, now=now)
    return b"".join((head, b',"entry":[', b",".join(entries), b"]}")) if entries else head + b"}"


def _head(type: str, *, links: Sequence[tuple[str, str]], total: int | None, id: str, now: datetime | None) -> bytes:
    head = [b'{"resourceType":"Bundle","id":' + _text(id)]
    if now is not None:
        head.append(b'"meta":{"lastUpdated":"' + instant(now).encode() + b'"}')
    head.append(b'"type":"' + type.encode() + b'"')
    if total is not None:
        head.append(b'"total":' + str(total).encode())
    if links:
        head.append(b'"link":[' + b",".join(_link(relation, url) for relation, url in links) + b"]")
    return b",".join(head)


def _link(relation: str, url: str) -> bytes:
    return b'{"relation":"' + relation.encode() + b'","url":' + _text(url) + b"}"


def _text(value: str) -> bytes:
    return msgspec.json.encode(value)
