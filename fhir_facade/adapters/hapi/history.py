"""Versions of one resource, one type or all, newest first; https://hl7.org/fhir/R4/http.html#history."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from fhir_facade.adapters.hapi.content import Bundle, Entry, bundle, stored
from fhir_facade.adapters.hapi.cursor import InHistory, opened, sealed
from fhir_facade.adapters.hapi.read import deletion, path_of
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.errors import Gone, NotFound, UpstreamError
from fhir_facade.fhir.document import instant
from fhir_facade.values import HistoryQuery, Page, Ref, StoredResource


async def history(session: HapiSession, query: HistoryQuery) -> Page:
    """Later pages are bounded by the time of the first one, so that new versions do not shift them."""
    cursor = _position(query)
    found = await _ask(session, query, cursor)
    total = cursor.total if cursor else found.total if query.total else None
    entries = await asyncio.gather(*(_version(session, entry) for entry in found.entry[: query.count]))
    if found.linked("next") is None or query.count == 0:
        return Page(entries, total=total)
    at = cursor.at if cursor else found.meta.lastUpdated or datetime.now(UTC)
    following = InHistory(at, (cursor.offset if cursor else 0) + query.count, total)
    return Page(entries, sealed(following), total)


def _position(query: HistoryQuery) -> InHistory | None:
    if query.cursor is None:
        return None
    cursor = opened(query.cursor)
    if not isinstance(cursor, InHistory):
        raise Gone("The page link does not belong to a history; start again")
    return cursor


async def _ask(session: HapiSession, query: HistoryQuery, cursor: InHistory | None) -> Bundle:
    asked = [("_count", str(max(query.count, 1)))]
    if cursor:
        asked += [("_offset", str(cursor.offset)), ("_at", f"le{instant(cursor.at)}")]
        asked += [("_at", f"ge{instant(query.since)}")] if query.since else []
    elif query.since:
        asked += [("_since", instant(query.since))]
    answer = await session.send("GET", f"{_path(query)}/_history?{urlencode(asked, quote_via=quote, safe=':')}")
    if answer.status in (400, 404) and query.id is not None:
        raise NotFound(f"{query.type}/{query.id} does not exist")
    if answer.status != 200:
        raise answer.refusal("a history")
    return bundle(answer.body)


def _path(query: HistoryQuery) -> str:
    if query.type is None:
        return ""
    return f"/{query.type}" if query.id is None else path_of(Ref(query.type, query.id))


async def _version(session: HapiSession, entry: Entry) -> StoredResource:
    if entry.resource:
        return stored(bytes(entry.resource))
    if entry.request is None:
        raise UpstreamError("HAPI answered a history with an entry that says nothing")
    # a deletion's time is in no history: HAPI tells it when the version is read
    path, _, version = entry.request.url.partition("/_history/")
    kind, _, name = path.rpartition("/")
    return await deletion(session, Ref(kind.rpartition("/")[2], name, version))
