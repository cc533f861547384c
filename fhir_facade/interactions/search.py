"""Search of one type, in a compartment or not: narrowed in the query, checked on the way out, includes filtered.

https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence, Set

from fhir_facade.access.check import Check, Deny
from fhir_facade.errors import Forbidden
from fhir_facade.fhir.bundle import Found, searchset
from fhir_facade.fhir.compartments import within_compartment
from fhir_facade.fhir.document import parse_stored
from fhir_facade.fhir.outcome import operation_outcome
from fhir_facade.fhir.query import ParsedSearch, parse_query, without_empty
from fhir_facade.interactions.audit import (
    audit_lines,
    patient_of_all,
    patients_asked_about,
    patients_of_stored,
    record_lines,
)
from fhir_facade.interactions.call import Call, may_leave, sees_all
from fhir_facade.interactions.include import TooMuchIncluded, included
from fhir_facade.interactions.leaks import refuse_leaks
from fhir_facade.interactions.pages import Asked, open_page, page_links
from fhir_facade.interactions.search_contained import Inside, contained, opened, refuse_unclear, sealed
from fhir_facade.interactions.seen import seen_page
from fhir_facade.interactions.shape import shaped
from fhir_facade.interactions.stored_codes import stored_codes
from fhir_facade.interactions.within import within
from fhir_facade.values import FhirResponse, JsonObject, Page, SearchQuery, StoredResource

Entry = tuple[StoredResource, JsonObject]
COUNT_AT_ONCE = 1000


async def search(call: Call) -> FhirResponse:
    """One page. 400 for what is not understood; the self link shows what was."""
    asked = open_page(call)
    parsed = await understood(call, call.type, asked)
    if parsed.contained != "false":
        return await _with_contained(call, asked, parsed)
    query = await _query(call, parsed, asked.cursor)
    page, matches, extra = await _fitting(call, parsed, query)
    sure = None if extra else patient_of_all(call.type, query.criteria)
    shown = [*matches, *extra] if sure is None else ()
    asked_about = patients_asked_about(call.type, parsed.query.criteria) if sure is None else {sure}
    await told(call, shown, asked_about or await counted_about(call, query, call.allow.check))
    total = await _total(call, query, page, len(matches))
    return answered(call, asked, parsed, page.cursor, matches, extra, total)


async def _fitting(
    call: Call, parsed: ParsedSearch, query: SearchQuery
) -> tuple[Page, Sequence[StoredResource], Sequence[StoredResource]]:
    """A page of the store with what it includes: of fewer matches, where it would have more bytes than a page may."""
    while True:
        page = await seen_page(call, query, call.allow.check, exact=call.allow.exact)
        try:
            return page, *await _shown(call, parsed, query, page.entries)
        except TooMuchIncluded:
            if len(page.entries) == 1:
                raise
        query = dataclasses.replace(query, count=len(page.entries) // 2)


async def _with_contained(call: Call, asked: Asked, parsed: ParsedSearch) -> FhirResponse:
    """Contained resources behind the others (`both`) or alone. The links of the two parts say which is which."""
    refuse_unclear(call, parsed)
    place = opened(asked.cursor)
    inside = await contained(call, parsed)
    if parsed.contained == "both" and (place is None or place.store is not None):
        return await _before_contained(call, asked, parsed, place.store if place else None, inside)
    left = [each for each in inside if place is None or each.place > place.after]
    shown, following = _first_of(left, parsed.query.count)
    await told(call, [each.container for each in shown], set())
    total = len(inside) if parsed.contained == "true" else None
    return _bundled(call, asked, parsed, following, _inner(call, parsed, shown), total)


def _first_of(left: Sequence[Inside], count: int) -> tuple[Sequence[Inside], str | None]:
    """So many contained resources, and the cursor behind them when there are more."""
    shown = left[:count]
    return shown, sealed(after=shown[-1].place) if len(left) > len(shown) > 0 else None


def _inner(call: Call, parsed: ParsedSearch, inside: Sequence[Inside]) -> list[Found]:
    base_url = call.ports.deployment.fhir_url
    return [Found(shaped(e.body or e.container.body, parsed), "match", e.address(base_url)) for e in inside]


async def _before_contained(
    call: Call, asked: Asked, parsed: ParsedSearch, cursor: str | None, inside: Sequence[Inside]
) -> FhirResponse:
    """A page of the resources of the type; the last one is filled up with what is contained."""
    query = await _query(call, parsed, cursor)
    page = await seen_page(call, query, call.allow.check, exact=call.allow.exact)
    matches, _ = await _shown(call, parsed, query, page.entries)
    more, following = _first_of(inside, max(query.count - len(matches), 0) if page.cursor is None else 0)
    if page.cursor is not None or (inside and not more and query.count):
        following = sealed(store=page.cursor)
    shown = [*matches, *(each.container for each in more)]
    await told(call, shown, patients_asked_about(call.type, query.criteria))
    total = await _total(call, query, page, len(matches)) if query.total else None
    found = [*_found(call, parsed, matches, "match"), *_inner(call, parsed, more)]
    return _bundled(call, asked, parsed, following, found, None if total is None else total + len(inside))


async def understood(call: Call, type: str, asked: Asked) -> ParsedSearch:
    """The parameters of a search of a type; lenient for systems only."""
    lenient = call.request.prefer.handling == "lenient" and call.principal.kind in ("backend", "engine")
    now, base_url = call.ports.clock.now(), call.ports.deployment.fhir_url
    params = without_empty(asked.params)
    stored = await stored_codes(call, type, params)
    return parse_query(type, params, now=now, base_url=base_url, strict=not lenient, ignore_empty=True, stored=stored)


async def told(call: Call, shown: Sequence[StoredResource], asked_about: Set[str]) -> None:
    """Write the audit: about those whose records are shown, else those the search names."""
    of = call.request.compartment
    named = {*asked_about, *([of.id] if of is not None and of.type == "Patient" else [])}
    about = patients_of_stored(shown) or named
    await record_lines(call.ports, audit_lines(call.ports, call.principal, call.request, about))


async def counted_about(call: Call, query: SearchQuery, check: Check) -> Set[str]:
    """Whose records a search of people counts that shows none of them and names nobody: as many as one look finds. More
    than that are a number that tells of nobody."""
    if query.count or sees_all(check):
        return set()
    page = await call.ports.store.search(dataclasses.replace(query, count=COUNT_AT_ONCE, sort=(), total=False))
    return patients_of_stored(stored for stored in page.entries if may_leave(check, stored))


def answered(
    call: Call,
    asked: Asked,
    parsed: ParsedSearch,
    cursor: str | None,
    matches: Sequence[StoredResource],
    extra: Sequence[StoredResource],
    total: int | None,
) -> FhirResponse:
    """The searchset of one page."""
    found = [*_found(call, parsed, matches, "match"), *_found(call, parsed, extra, "include")]
    return _bundled(call, asked, parsed, cursor, found, total)


def _bundled(
    call: Call, asked: Asked, parsed: ParsedSearch, cursor: str | None, found: Sequence[Found], total: int | None
) -> FhirResponse:
    links = page_links(call, asked, Page((), cursor), parsed.understood)
    found = [*found, *_ignored(parsed)]
    body = searchset(found, links=links, total=total, id=call.ports.ids.new(), now=call.ports.clock.now())
    return FhirResponse(200, body)


def _ignored(parsed: ParsedSearch) -> list[Found]:
    """What a lenient search left out, behind what it found; an answer that only counts has no entries."""
    told = parsed.ignored and parsed.query.count
    return [Found(operation_outcome(parsed.ignored), "outcome")] if told else []


def in_compartment(call: Call, query: SearchQuery) -> SearchQuery:
    """The query within the compartment that is asked for, if one is."""
    of = call.request.compartment
    if of is None:
        return query
    return dataclasses.replace(query, criteria=(*query.criteria, within_compartment(of, query.type)))


async def _query(call: Call, parsed: ParsedSearch, cursor: str | None) -> SearchQuery:
    query = await within(call, in_compartment(call, parsed.query), parsed.includes)
    if isinstance(query, Deny):
        raise Forbidden(query.reason).concerning(patients_asked_about(call.type, parsed.query.criteria))
    total = query.total or call.ports.deployment.total_always
    return dataclasses.replace(query, cursor=cursor, total=total)


async def _shown(
    call: Call, parsed: ParsedSearch, query: SearchQuery, entries: Sequence[StoredResource]
) -> tuple[Sequence[StoredResource], Sequence[StoredResource]]:
    """The matches that may leave and what the includes add; looked into only where that can make a difference."""
    if call.sees_all and not parsed.includes:
        return entries, ()
    matches = await _leaving(call, query, [(stored, parse_stored(stored.body)) for stored in entries])
    extra = await included(call, parsed.includes, matches)
    return [stored for stored, _ in matches], [stored for stored, _ in extra]


async def _leaving(call: Call, query: SearchQuery, matches: Sequence[Entry]) -> Sequence[Entry]:
    """The matches that may leave. Where the query says all of the limit, any other one means that nothing is right."""
    if call.sees_all:
        return matches
    leaving = [entry for entry in matches if call.allow.check.may_leave(entry[1])]
    if call.allow.exact and len(leaving) < len(matches):
        shown = {stored.id for stored, _ in leaving}
        await refuse_leaks(call.ports.store, query, [stored for stored, _ in matches if stored.id not in shown])
    return leaving


def _found(call: Call, parsed: ParsedSearch, entries: Iterable[StoredResource], mode: str) -> list[Found]:
    """`_elements` are those of the type that is searched: what is included of others is whole."""
    base, kind = call.ports.deployment.fhir_url, parsed.query.type
    return [
        Found(
            stored.body
            if mode == "include" and parsed.elements and stored.type != kind
            else shaped(stored.body, parsed),
            mode,  # type: ignore[arg-type]
            f"{base}/{stored.type}/{stored.id}",
        )
        for stored in entries
    ]


async def _total(call: Call, query: SearchQuery, page: Page, shown: int) -> int | None:
    """Given when asked for, or when this first page holds all matches. What may not leave is not counted either."""
    if query.count and query.cursor is None and page.cursor is None:
        return shown
    if call.sees_all or call.allow.exact or not query.total:
        return page.total
    return await visible(call, query, call.allow.check)


async def visible(call: Call, query: SearchQuery, check: Check) -> int:
    """How many matches may leave: counted one by one, because the query cannot say all of the limit."""
    counted, step = 0, dataclasses.replace(query, count=COUNT_AT_ONCE, sort=(), total=False, cursor=None)
    while True:
        page = await call.ports.store.search(step)
        counted += sum(may_leave(check, stored) for stored in page.entries)
        if page.cursor is None:
            return counted
        step = dataclasses.replace(step, cursor=page.cursor)
