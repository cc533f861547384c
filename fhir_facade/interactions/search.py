"""Type-level search: narrowed in the query, checked on the way out, includes filtered.

https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from fhir_facade.access.check import Deny
from fhir_facade.errors import FacadeError, Forbidden
from fhir_facade.fhir.bundle import Found, searchset
from fhir_facade.fhir.document import parse_stored
from fhir_facade.fhir.query import ParsedSearch, parse_query
from fhir_facade.fhir.summary import elements, summarise
from fhir_facade.interactions.audit import audit_lines, patients_asked_about, patients_of_stored, record_lines
from fhir_facade.interactions.call import Call, may_leave, within
from fhir_facade.interactions.include import included
from fhir_facade.interactions.pages import open_page, page_links
from fhir_facade.values import FhirResponse, JsonObject, Page, SearchQuery, StoredResource

Entry = tuple[StoredResource, JsonObject]
COUNT_AT_ONCE = 1000


class LeakPrevented(FacadeError):
    """A store returned a match that the caller may not see: a defect of the narrowing, so nothing is answered."""


async def search(call: Call) -> FhirResponse:
    """One page. 400 for what is not understood; the self link shows what was."""
    asked = open_page(call)
    strict = not (call.request.prefer.handling == "lenient" and call.principal.kind in ("backend", "engine"))
    parsed = parse_query(
        call.type,
        asked.params,
        now=call.ports.clock.now(),
        base_url=call.ports.deployment.fhir_url,
        strict=strict,
    )
    query = _query(call, parsed, asked.cursor)
    page = await call.ports.store.search(query)
    matches, extra = await _shown(call, parsed, page.entries)
    about = patients_of_stored([*matches, *extra]) or patients_asked_about(call.type, query.criteria)
    await record_lines(call.ports, audit_lines(call.ports, call.principal, call.request, about))
    found = [*_found(call, parsed, matches, "match"), *_found(call, parsed, extra, "include")]
    total = await _total(call, query, page, len(matches))
    links = page_links(call, asked, page, parsed.understood)
    body = searchset(found, links=links, total=total, id=call.ports.ids.new(), now=call.ports.clock.now())
    return FhirResponse(200, body)


def _query(call: Call, parsed: ParsedSearch, cursor: str | None) -> SearchQuery:
    query = within(call, parsed.query, parsed.includes)
    if isinstance(query, Deny):
        raise Forbidden(query.reason)
    total = query.total or call.ports.deployment.total_always
    return dataclasses.replace(query, cursor=cursor, total=total)


async def _shown(
    call: Call, parsed: ParsedSearch, entries: Sequence[StoredResource]
) -> tuple[Sequence[StoredResource], Sequence[StoredResource]]:
    """The matches that may leave and what the includes add; looked into only where that can make a difference."""
    if call.sees_all and not parsed.includes:
        return entries, ()
    matches = _leaving(call, [(stored, parse_stored(stored.body)) for stored in entries])
    extra = await included(call, parsed.includes, matches)
    return [stored for stored, _ in matches], [stored for stored, _ in extra]


def _leaving(call: Call, matches: Sequence[Entry]) -> Sequence[Entry]:
    """The matches that may leave. Where the query says all of the limit, any other one means that nothing is right."""
    if call.sees_all:
        return matches
    leaving = [entry for entry in matches if call.allow.check.may_leave(entry[1])]
    if call.allow.exact and len(leaving) < len(matches):
        raise LeakPrevented(f"the search was answered with {call.type} records outside of it; this was stopped")
    return leaving


def _found(call: Call, parsed: ParsedSearch, entries: Iterable[StoredResource], mode: str) -> list[Found]:
    base = call.ports.deployment.fhir_url
    return [
        Found(_shaped(stored.body, parsed), mode, f"{base}/{stored.type}/{stored.id}")  # type: ignore[arg-type]
        for stored in entries
    ]


def _shaped(body: bytes, parsed: ParsedSearch) -> bytes:
    """`_elements` and `_summary` are applied here, after the check that needs the whole resource."""
    if parsed.elements:
        return elements(body, parsed.elements)
    return summarise(body, parsed.summary) if parsed.summary else body


async def _total(call: Call, query: SearchQuery, page: Page, shown: int) -> int | None:
    """Given when asked for, or when this first page holds all matches. What may not leave is not counted either."""
    if query.count and query.cursor is None and page.cursor is None:
        return shown
    if call.sees_all or call.allow.exact or not query.total:
        return page.total
    return await _visible(call, query)


async def _visible(call: Call, query: SearchQuery) -> int:
    """How many matches may leave: counted one by one, because the query cannot say all of the limit."""
    counted, step = 0, dataclasses.replace(query, count=COUNT_AT_ONCE, sort=(), total=False, cursor=None)
    while True:
        page = await call.ports.store.search(step)
        counted += sum(may_leave(call.allow.check, stored) for stored in page.entries)
        if page.cursor is None:
            return counted
        step = dataclasses.replace(step, cursor=page.cursor)
