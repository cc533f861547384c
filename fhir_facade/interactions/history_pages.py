"""A page of a history as if there were nothing but what its caller may see. https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Final

import msgspec

from fhir_facade.errors import Gone, NotFound
from fhir_facade.interactions.audit_resource import AUDIT_EVENT
from fhir_facade.interactions.call import Call, may_leave
from fhir_facade.interactions.history_parts import is_open
from fhir_facade.interactions.page_bytes import bytes_of
from fhir_facade.interactions.read import was_yours
from fhir_facade.values import HistoryQuery, Page, Ref, StoredResource

AHEAD: Final = 100
"""So many versions are looked at together at least, where many may be hidden in a row."""


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """A page of the store, and how many of its versions that may leave were shown."""

    cursor: str | None = None
    shown: int = 0


async def page_of(call: Call, query: HistoryQuery) -> tuple[Page, Sequence[StoredResource]]:
    """The versions that may leave, as if there were no others: what is hidden ends no page and makes no link."""
    try:
        return await (_page_of_all(call, query) if call.sees_all or not query.count else _page_of_seen(call, query))
    except NotFound:
        raise NotFound(f"{call.ref} is not there") from None


async def _page_of_all(call: Call, query: HistoryQuery) -> tuple[Page, Sequence[StoredResource]]:
    """The first page of the store from here that shows anything: copies of the audit are left out."""
    begun = query.cursor is None
    while True:
        page = await call.ports.store.history(query)
        versions = await _leaving(call, page.entries)
        if versions or page.cursor is None or query.count == 0:
            whole = begun and page.cursor is None and query.count > 0
            total = len(versions) if whole else page.total if call.sees_all else None
            return dataclasses.replace(page, total=total), versions
        query, begun = dataclasses.replace(query, cursor=page.cursor), False


async def _page_of_seen(call: Call, query: HistoryQuery) -> tuple[Page, Sequence[StoredResource]]:
    """Pages of the store until so many may leave and one more does, or there are none. Where the next page begins is a
    place in a page of the store: never in the first one, before which new versions come."""
    place, found = _opened(query.cursor), list[StoredResource]()
    most, following = call.ports.deployment.max_page_bytes, None
    while True:
        length = query.count if place.cursor is None else max(query.count, AHEAD)
        page = await call.ports.store.history(dataclasses.replace(query, cursor=place.cursor, count=length))
        seen = (await _leaving(call, page.entries))[place.shown :]
        room = query.count - len(found) if bytes_of(found) < most else 0
        found += seen[:room]
        if len(seen) > room:
            following = msgspec.json.encode(_Place(place.cursor, place.shown + room)).decode()
            break
        if page.cursor is None:
            break
        place = _Place(page.cursor)
    whole = query.cursor is None and following is None
    return Page(found, following, len(found) if whole else None), found


def _opened(cursor: str | None) -> _Place:
    try:
        return _Place() if cursor is None else msgspec.json.decode(cursor, type=_Place)
    except msgspec.DecodeError as error:
        raise Gone("this page link is of another version of the server: start the history again") from error


async def _is_yours(call: Call, ref: Ref) -> bool:
    try:
        current = await call.ports.store.read(ref)
    except NotFound:
        return False
    except Gone:
        return await was_yours(call, ref)
    return version_may_leave(call, current)


async def _leaving(call: Call, versions: Sequence[StoredResource]) -> Sequence[StoredResource]:
    """The versions that may leave. Of one resource its current version was judged before. AuditEvents of a store are
    copies of the audit: they are no part of the history of the records."""
    if call.request.id is not None:
        return [version for version in versions if version.deleted or version_may_leave(call, version)]
    shown = [version for version in versions if version.type != AUDIT_EVENT and version_may_leave(call, version)]
    doubtful = list(dict.fromkeys(version.ref for version in shown if not is_open(call, version.type)))
    yours = await asyncio.gather(*(_is_yours(call, ref) for ref in doubtful))
    foreign = {ref for ref, own in zip(doubtful, yours, strict=True) if not own}
    return [version for version in shown if version.ref not in foreign]


def version_may_leave(call: Call, version: StoredResource) -> bool:
    """A deletion does not say whose the resource was, so it is told where nothing of the type is hidden."""
    if version.deleted or is_open(call, version.type):
        return is_open(call, version.type)
    return may_leave(call.allow.check, version)
