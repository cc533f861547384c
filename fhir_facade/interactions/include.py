"""`_include` and `_revinclude`: one search per type and hop, every resource judged before it is added.

https://hl7.org/fhir/R4/search.html#include
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar

from fhir_facade.access.check import Deny
from fhir_facade.access.policy import Allow
from fhir_facade.errors import TooLarge
from fhir_facade.fhir.definitions import reference_targets, resource_types, search_parameters
from fhir_facade.fhir.definitions.canonicals import VERSIONLESS, canonical_targets
from fhir_facade.fhir.document import parse_stored
from fhir_facade.fhir.extract import ReferenceRow, extract, extract_parameter
from fhir_facade.fhir.match import canonicals
from fhir_facade.interactions.audit_events import with_audit_events
from fhir_facade.interactions.audit_resource import AUDIT_EVENT
from fhir_facade.interactions.call import Call, sees_all
from fhir_facade.interactions.page_bytes import bytes_of
from fhir_facade.interactions.within import within
from fhir_facade.values import (
    AnyOf,
    Include,
    JsonObject,
    Match,
    ReferenceValue,
    SearchQuery,
    StoredResource,
    TokenValue,
    UriValue,
)

T = TypeVar("T")
Entry = tuple[StoredResource, JsonObject]

MAX_INCLUDED = 5000
MAX_HOPS = 5
AT_ONCE = 8
CHUNK = 200


class TooMuchIncluded(TooLarge):
    """The includes have more bytes than a page may have beside its matches."""


async def included(call: Call, includes: Sequence[Include], matches: Sequence[Entry]) -> list[Entry]:
    """Resources that the includes add to the matches, each once, without the matches themselves."""
    if not includes:
        return []
    seen = {stored.ref for stored, _ in matches}
    result: list[Entry] = []
    frontier: list[Entry] = list(matches)
    room = _Room(call.ports.deployment.max_page_bytes)
    room.refuse(stored for stored, _ in matches[1:])
    for hop in range(MAX_HOPS):
        wanted = includes if hop == 0 else [include for include in includes if include.iterate]
        if not wanted or not frontier:
            break
        found = [entry for include in wanted for entry in await _hop(call, include, frontier)]
        frontier = []
        for entry in found:
            if entry[0].ref not in seen:
                seen.add(entry[0].ref)
                frontier.append(entry)
        result += frontier
        room.refuse(entry[0] for entry in frontier)
        if len(result) > MAX_INCLUDED:
            raise TooLarge(f"the includes add more than {MAX_INCLUDED} resources: ask for a smaller _count")
    return result


@dataclass(slots=True)
class _Room:
    """What a page may still hold, in bytes."""

    left: int

    def refuse(self, more: Iterable[StoredResource]) -> None:
        self.left -= bytes_of(more)
        if self.left < 0:
            raise TooMuchIncluded("the matches and their includes have more bytes than a page may have: include less")


async def _hop(call: Call, include: Include, entries: Sequence[Entry]) -> list[Entry]:
    if include.reverse:
        return await _referring(call, include, entries)
    return await _referred(call, include, entries)


async def _referred(call: Call, include: Include, entries: Sequence[Entry]) -> list[Entry]:
    ids: dict[str, set[str]] = defaultdict(set)
    urls: dict[str, set[str]] = defaultdict(set)
    for stored, resource in entries:
        if include.source in (stored.type, "*"):
            for row in _references(include.name, resource):
                if include.target in (None, row.type) and row.type is not None and row.id is not None:
                    ids[row.type].add(row.id)
                for target in _meant_by_url(include, stored.type, row):
                    urls[target].add(f"{row.url}{VERSIONLESS}{row.version or ''}")
    found: list[Entry] = []
    for type_, wanted in sorted(ids.items()):
        for chunk in _chunks(sorted(wanted)):
            match = Match("_id", "token", tuple(TokenValue(None, id_) for id_ in chunk))
            found += await allowed(call, SearchQuery(type_, (match,), count=CHUNK))
    for type_, wanted in sorted(urls.items()):
        found += await _named(call, type_, wanted)
    return found


def _meant_by_url(include: Include, source: str, row: ReferenceRow) -> Sequence[str]:
    """The types of which a reference may mean one by its URL."""
    if row.url is None:
        return ()
    return [name for name in canonical_targets(source, row.param) if include.target in (None, name)]


async def _named(call: Call, type: str, wanted: Set[str]) -> list[Entry]:
    """The resources of a type that these canonicals name: of the version that is named, or of any."""
    found: list[Entry] = []
    for chunk in _chunks(sorted({name.rpartition(VERSIONLESS)[0] for name in wanted})):
        match = Match("url", "uri", tuple(UriValue(url) for url in chunk))
        found += await allowed(call, SearchQuery(type, (match,), count=CHUNK))
    return [entry for entry in found if not wanted.isdisjoint(canonicals(entry[1]))]


def _references(name: str, resource: JsonObject) -> Sequence[ReferenceRow]:
    """What one parameter of the resource refers to, or all of them."""
    if name == "*":
        return extract(resource, texts=False).references
    if name not in search_parameters(resource["resourceType"]):
        return ()
    return extract_parameter(resource, name).references


async def _referring(call: Call, include: Include, entries: Sequence[Entry]) -> list[Entry]:
    targets = [entry for entry in entries if include.target in (None, entry[0].type)]
    found: list[Entry] = []
    for chunk in _chunks(targets):
        searches = list(_pointing(include, chunk))
        for start in range(0, len(searches), AT_ONCE):
            answers = await asyncio.gather(*(allowed(call, query) for query in searches[start : start + AT_ONCE]))
            found += [entry for answer in answers for entry in answer]
            if len(found) > MAX_INCLUDED:
                return found
    return found


def _pointing(include: Include, targets: Sequence[Entry]) -> Iterator[SearchQuery]:
    """The searches of what refers to the targets: one for each type that the include means."""
    kinds = {stored.type for stored, _ in targets}
    sources = (include.source,) if include.source != "*" else _SOURCES
    for source in sources:
        ways = [way for way in _ways(source, include.name) if not kinds.isdisjoint(reference_targets(source, way))]
        matches = [Match(way, "reference", _values(source, way, targets)) for way in ways]
        if len(matches) == 1:
            yield SearchQuery(source, (matches[0],), count=CHUNK)
        elif matches:
            yield SearchQuery(source, (AnyOf(tuple((match,) for match in matches)),), count=CHUNK)


def _ways(source: str, name: str) -> Sequence[str]:
    if name != "*":
        return (name,)
    return [own.code for own in search_parameters(source).values() if own.kind == "reference"]


def _values(source: str, way: str, targets: Sequence[Entry]) -> tuple[ReferenceValue, ...]:
    possible, by_url = reference_targets(source, way), canonical_targets(source, way)
    ids = [ReferenceValue(stored.type, stored.id) for stored, _ in targets if stored.type in possible]
    names = [name for stored, resource in targets if stored.type in by_url for name in canonicals(resource)]
    return (*ids, *(ReferenceValue(None, None, name) for name in names))


_SOURCES = tuple(name for name in resource_types() if name != AUDIT_EVENT)
"""What a star means: who looked at a record is asked for by name only."""


async def allowed(call: Call, query: SearchQuery) -> list[Entry]:
    """All results of a query on another type, under the caller's rights for that type; none without rights."""
    decision = call.search_rights(query.type)
    limited = await within(call, query)
    if not isinstance(decision, Allow) or isinstance(limited, Deny):
        return []
    store = with_audit_events(call.ports, call.principal).store if query.type == AUDIT_EVENT else call.ports.store
    found: list[Entry] = []
    cursor: str | None = None
    room = _Room(call.ports.deployment.max_page_bytes)
    while len(found) <= MAX_INCLUDED:
        page = await store.search(
            SearchQuery(limited.type, limited.criteria, limited.any_of, limited.sort, CHUNK, cursor)
        )
        entries = ((stored, parse_stored(stored.body)) for stored in page.entries)
        more = [e for e in entries if sees_all(decision.check) or decision.check.may_leave(e[1])]
        room.refuse(stored for stored, _ in more)
        found += more
        cursor = page.cursor
        if cursor is None:
            break
    return found


def _chunks(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[i : i + CHUNK] for i in range(0, len(items), CHUNK))
