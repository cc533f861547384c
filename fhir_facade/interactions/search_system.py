"""Search of several types at once, in a compartment or not: a search of each, put in one order, judged type by type.

https://hl7.org/fhir/R4/http.html#search; stores know one type at a time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import msgspec

from fhir_facade.access.check import Check, Deny
from fhir_facade.access.compartment import type_rules
from fhir_facade.errors import BadRequest, Forbidden, Gone
from fhir_facade.fhir.compartments import members_of_compartment
from fhir_facade.fhir.document import parse_stored
from fhir_facade.fhir.query import ParsedSearch
from fhir_facade.fhir.query.parse import SYSTEM
from fhir_facade.interactions.audit import patients_asked_about
from fhir_facade.interactions.audit_events import with_audit_events
from fhir_facade.interactions.audit_resource import AUDIT_EVENT
from fhir_facade.interactions.call import Call, may_leave, sees_all
from fhir_facade.interactions.include import included
from fhir_facade.interactions.leaks import refuse_leaks
from fhir_facade.interactions.page_bytes import fitting
from fhir_facade.interactions.pages import open_page
from fhir_facade.interactions.search import answered, counted_about, in_compartment, told, understood, visible
from fhir_facade.interactions.seen import seen_page
from fhir_facade.interactions.within import within
from fhir_facade.values import Criterion, FhirResponse, Page, SearchQuery, StoredResource

AT_ONCE: Final = 8
_ORDERS: Final[Mapping[str, Callable[[StoredResource], Any]]] = MappingProxyType(
    {"_id": lambda stored: stored.id, "_lastUpdated": lambda stored: stored.last_updated}
)


@dataclass(frozen=True, slots=True)
class _Part:
    """The search of one type as the caller may ask it. `exact`: whatever it finds may leave."""

    query: SearchQuery
    check: Check
    exact: bool


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Where the search of a type goes on."""

    type: str
    cursor: str | None


async def search_system(call: Call) -> FhirResponse:
    """One page. Types follow each other unless `_sort` says otherwise. 403 when a type that `_type` names is closed."""
    asked = open_page(call)
    parsed = await understood(call, SYSTEM, asked)
    call = _with_audit(call, parsed)
    parts = await _parts(call, parsed)
    places = _opened(asked.cursor, parts)
    found, rest = await _page(call, parts, places, parsed.query)
    may = [may_leave(parts[stored.type].check, stored) for stored in found]
    await _refuse_leaks(call, parts, [stored for stored, leaves in zip(found, may, strict=True) if not leaves])
    matches = [stored for stored, leaves in zip(found, may, strict=True) if leaves]
    entries = [(stored, parse_stored(stored.body)) for stored in matches] if parsed.includes else []
    extra = [stored for stored, _ in await included(call, parsed.includes, entries)]
    await told(call, [*matches, *extra], await _asked_about(call, parsed, parts))
    total = await _total(call, parsed, parts, len(matches) if asked.cursor is None and not rest else None)
    cursor = msgspec.json.encode(rest).decode() if rest else None
    return answered(call, asked, parsed, cursor, matches, extra, total)


# --- which types ------------------------------------------------------------------------------------------------


def _with_audit(call: Call, parsed: ParsedSearch) -> Call:
    return (
        msgspec.structs.replace(call, ports=with_audit_events(call.ports, call.principal))
        if AUDIT_EVENT in parsed.types
        else call
    )


async def _parts(call: Call, parsed: ParsedSearch) -> dict[str, _Part]:
    """The searches by type. Types that are not named and not open are left out."""
    if parsed.contained != "false":
        raise BadRequest("_contained: contained resources are searched by their type, not of the whole system")
    if any(sort.name not in _ORDERS for sort in parsed.query.sort):
        raise BadRequest(f"_sort: several types together are sorted by {' or '.join(sorted(_ORDERS))}")
    parts = {kind: await _part(call, parsed, kind) for kind in _types(call, parsed)}
    refused = [part for kind, part in parts.items() if isinstance(part, Deny) and kind in parsed.types]
    if refused:
        raise Forbidden(refused[0].reason)
    return {kind: part for kind, part in parts.items() if isinstance(part, _Part)}


async def _asked_about(call: Call, parsed: ParsedSearch, parts: Mapping[str, _Part]) -> Set[str]:
    """The patients that the search names, or whose records it counts."""
    named = {id_ for kind in parts for id_ in patients_asked_about(kind, _criteria(parsed, kind))}
    if named or call.request.compartment is not None or parsed.query.count:
        return named
    return {id_ for part in parts.values() for id_ in await counted_about(call, part.query, part.check)}


def _types(call: Call, parsed: ParsedSearch) -> Sequence[str]:
    of = call.request.compartment
    held = members_of_compartment(of.type) if of is not None else _stored()
    outside = [kind for kind in parsed.types if kind not in held]
    if outside:
        raise BadRequest(f"_type: {outside[0]} cannot be searched here")
    return parsed.types or [kind for kind in held if kind != AUDIT_EVENT]


def _stored() -> tuple[str, ...]:
    return tuple(sorted(rule.type for rule in type_rules().values() if rule.type_class != "transient"))


async def _part(call: Call, parsed: ParsedSearch, type: str) -> _Part | Deny:
    rights = call.search_rights(type)
    if isinstance(rights, Deny):
        return rights
    query = replace(parsed.query, type=type, criteria=_criteria(parsed, type), total=False)
    limited = await within(call, in_compartment(call, query), parsed.includes)
    return limited if isinstance(limited, Deny) else _Part(limited, rights.check, rights.exact)


def _criteria(parsed: ParsedSearch, type: str) -> tuple[Criterion, ...]:
    """What is asked of a type: the same words may mean different references for each."""
    return parsed.by_type.get(type, parsed.query.criteria)


async def _refuse_leaks(call: Call, parts: dict[str, _Part], foreign: Sequence[StoredResource]) -> None:
    for kind, part in parts.items() if foreign else ():
        own = [stored for stored in foreign if stored.type == kind and part.exact]
        await refuse_leaks(call.ports.store, part.query, own)


# --- one page -----------------------------------------------------------------------------------------------------


def _opened(cursor: str | None, parts: dict[str, _Part]) -> list[_Place]:
    """Where each type goes on: all at their beginning on the first page."""
    if cursor is None:
        return [_Place(kind, None) for kind in parts]
    places: list[_Place] = msgspec.json.decode(cursor, type=list[_Place])
    if any(place.type not in parts for place in places):
        raise Gone("this page link is no longer yours: repeat the search")
    return places


async def _page(
    call: Call, parts: dict[str, _Part], places: Sequence[_Place], query: SearchQuery
) -> tuple[list[StoredResource], list[_Place]]:
    """The entries of a page, and where the types go on that have more."""
    if query.count == 0:
        return [], []
    pages: list[Page] = []
    while len(pages) < len(places) and (query.sort or sum(len(page.entries) for page in pages) <= query.count):
        heads = places[len(pages) : len(pages) + AT_ONCE]
        pages += await asyncio.gather(*(_asked(call, parts, place, query.count) for place in heads))
    found = _ordered([entry for page in pages for entry in page.entries], query)[: query.count]
    found = _in_order(found, [page for page in pages if page.cursor is not None and len(page.entries) < query.count])
    found = found[: fitting(found, call.ports.deployment.max_page_bytes)]
    shown = Counter(entry.type for entry in found)
    read = zip(places, pages, strict=False)
    rest = [await _after(call, parts, place, page, shown[place.type]) for place, page in read]
    return found, [place for place in (*rest, *places[len(pages) :]) if place is not None]


def _in_order(found: list[StoredResource], cut: Sequence[Page]) -> list[StoredResource]:
    """Nothing that could come behind what a page had no room for."""
    last = [found.index(page.entries[-1]) + 1 for page in cut if page.entries and page.entries[-1] in found]
    return found[: min(last, default=len(found))]


async def _asked(call: Call, parts: dict[str, _Part], place: _Place, count: int) -> Page:
    part = parts[place.type]
    return await seen_page(call, replace(part.query, count=count, cursor=place.cursor), part.check, exact=part.exact)


def _ordered(entries: list[StoredResource], query: SearchQuery) -> list[StoredResource]:
    """By the keys that are asked for; what is equal in them stays by type."""
    for sort in reversed(query.sort):
        entries.sort(key=_ORDERS[sort.name], reverse=sort.descending)
    return entries


async def _after(call: Call, parts: dict[str, _Part], place: _Place, page: Page, shown: int) -> _Place | None:
    """Where a type goes on when so many entries of its page are shown; None at its end."""
    if shown == len(page.entries):
        return None if page.cursor is None else _Place(place.type, page.cursor)
    return place if shown == 0 else _Place(place.type, (await _asked(call, parts, place, shown)).cursor)


async def _total(call: Call, parsed: ParsedSearch, parts: dict[str, _Part], shown: int | None) -> int | None:
    """Given when asked for, or when this first page holds all matches."""
    if shown is not None and parsed.query.count:
        return shown
    if not (parsed.query.total or call.ports.deployment.total_always):
        return None
    return sum([await _count(call, part) for part in parts.values()])


async def _count(call: Call, part: _Part) -> int:
    if not part.exact and not sees_all(part.check):
        return await visible(call, part.query, part.check)
    counted = await call.ports.store.search(replace(part.query, count=0, total=True, sort=()))
    return counted.total or 0
