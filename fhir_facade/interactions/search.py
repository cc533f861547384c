"""Type-level search: narrowed in the query, checked on the way out, includes filtered.

https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from fhir_facade.access.check import Deny
from fhir_facade.errors import FacadeError, Forbidden
from fhir_facade.fhir.bundle import Found, searchset
from fhir_facade.fhir.document import parse
from fhir_facade.fhir.query import ParsedSearch, parse_query
from fhir_facade.fhir.summary import elements, summarise
from fhir_facade.interactions.audit import audit_line, patient_of_all, record_lines
from fhir_facade.interactions.call import Call, within
from fhir_facade.interactions.include import included
from fhir_facade.interactions.pages import open_page, page_links
from fhir_facade.values import FhirResponse, JsonObject, Page, SearchQuery, StoredResource


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
    page = await call.ports.store.search(_query(call, parsed, asked.cursor))
    matches = [(stored, parse(stored.body)) for stored in page.entries]
    _check(call, matches)
    extra = await included(call, parsed.includes, matches)
    patient = patient_of_all(resource for _, resource in [*matches, *extra])
    await record_lines(call.ports, [audit_line(call.ports, call.principal, call.request, patient=patient)])
    found = [*_found(call, parsed, matches, "match"), *_found(call, parsed, extra, "include")]
    total = _total(call, parsed, page, asked.cursor)
    links = page_links(call, asked, page, parsed.understood)
    body = searchset(found, links=links, total=total, id=call.ports.ids.new(), now=call.ports.clock.now())
    return FhirResponse(200, body)


def _query(call: Call, parsed: ParsedSearch, cursor: str | None) -> SearchQuery:
    query = within(call, parsed.query, parsed.includes)
    if isinstance(query, Deny):
        raise Forbidden(query.reason)
    total = query.total or call.ports.deployment.total_always
    return dataclasses.replace(query, cursor=cursor, total=total)


def _check(call: Call, matches: Sequence[tuple[StoredResource, JsonObject]]) -> None:
    if call.sees_all:
        return
    for stored, resource in matches:
        if not call.allow.check.may_leave(resource):
            raise LeakPrevented(f"the search was answered with {stored.type} records outside of it; this was stopped")


def _found(
    call: Call, parsed: ParsedSearch, entries: Iterable[tuple[StoredResource, JsonObject]], mode: str
) -> list[Found]:
    base = call.ports.deployment.fhir_url
    return [
        Found(_shaped(stored.body, parsed), mode, f"{base}/{stored.type}/{stored.id}")  # type: ignore[arg-type]
        for stored, _ in entries
    ]


def _shaped(body: bytes, parsed: ParsedSearch) -> bytes:
    """`_elements` and `_summary` are applied here, after the check that needs the whole resource."""
    if parsed.elements:
        return elements(body, parsed.elements)
    return summarise(body, parsed.summary) if parsed.summary else body


def _total(call: Call, parsed: ParsedSearch, page: Page, cursor: str | None) -> int | None:
    """Given when asked for, or when this first page holds all matches."""
    if page.total is not None:
        return page.total
    return len(page.entries) if cursor is None and page.cursor is None else None
