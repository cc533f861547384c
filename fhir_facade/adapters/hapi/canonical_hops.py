"""Chains and `_has` over canonical URLs, which HAPI goes only where a reference says type and id: taken hop by hop.

What lies behind such a hop is found first, and asked for by its URL with its version or without one, or by its id.
https://hl7.org/fhir/R4/search.html#chaining
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec

from fhir_facade.fhir.definitions.canonicals import VERSIONLESS, canonical_targets
from fhir_facade.fhir.extract import ReferenceRow, extract_parameter
from fhir_facade.fhir.match import canonicals
from fhir_facade.values import (
    AnyOf,
    Chain,
    Criterion,
    Has,
    JsonObject,
    Match,
    ReferenceValue,
    SearchQuery,
    StoredResource,
    TokenValue,
    UriValue,
)

Find = Callable[[SearchQuery], Awaitable[list[StoredResource]]]
"""All that a query finds; TooLarge for more than can be asked for."""

Groups = tuple[tuple[Criterion, ...], ...]
NOTHING = Match("_id", "token", ())
"""What no resource satisfies: a list of ids without any."""


async def without_canonical_hops(find: Find, query: SearchQuery) -> SearchQuery:
    """The same query with what its hops over canonicals lead to in their place."""
    filler = _Filler(find)
    if not any(filler.leads_on(query.type, own) for group in (query.criteria, *query.any_of) for own in group):
        return query
    criteria = tuple([await filler.filled(query.type, own) for own in query.criteria])
    return replace(query, criteria=criteria, any_of=await filler.groups(query.type, query.any_of))


class _Filler:
    def __init__(self, find: Find) -> None:
        self._find = find
        self._on_the_way: dict[tuple[str, int], tuple[Criterion, bool]] = {}
        """Each criterion is kept beside what is known of it, so that no other gets its identity."""

    def leads_on(self, type: str, criterion: Criterion) -> bool:
        """Whether there is a canonical on the way."""
        key = (type, id(criterion))
        if key not in self._on_the_way:
            self._on_the_way[key] = criterion, self._leads_on(type, criterion)
        return self._on_the_way[key][1]

    def _leads_on(self, type: str, criterion: Criterion) -> bool:
        match criterion:
            case Chain(name, targets, inner):
                return bool(canonical_targets(type, name)) or any(self.leads_on(target, inner) for target in targets)
            case Has(source, name, inner):
                return type in canonical_targets(source, name) or self.leads_on(source, inner)
            case AnyOf(groups):
                return any(self.leads_on(type, own) for group in groups for own in group)
        return False

    async def groups(self, type: str, groups: Groups) -> Groups:
        return tuple([tuple([await self.filled(type, own) for own in group]) for group in groups])

    async def filled(self, type: str, criterion: Criterion) -> Criterion:
        if not self.leads_on(type, criterion):
            return criterion
        match criterion:
            case Chain() if canonical_targets(type, criterion.name):
                return await self._referring_by_url(criterion)
            case Chain():
                ways = [(await self._by_id(criterion, target),) for target in criterion.targets]
                return ways[0][0] if len(ways) == 1 else AnyOf(tuple(ways))
            case Has() if type in canonical_targets(criterion.type, criterion.name):
                return await self._named_by(type, criterion)
            case Has():
                ids = await self._ids(criterion.type, criterion.inner)
                return replace(criterion, inner=ids) if ids.values else NOTHING
        assert isinstance(criterion, AnyOf), "nothing else leads on"
        return AnyOf(await self.groups(type, criterion.groups))

    async def _ids(self, type: str, inner: Criterion) -> Match:
        return _by_ids([stored.id for stored in await self._find(SearchQuery(type, (inner,)))])

    async def _by_id(self, chain: Chain, target: str) -> Criterion:
        ids = await self._ids(target, chain.inner)
        return Chain(chain.name, (target,), ids) if ids.values else NOTHING

    async def _referring_by_url(self, chain: Chain) -> Match:
        """What names one of the targets that satisfy the inner criterion."""
        values: dict[ReferenceValue, None] = {}
        for target in chain.targets:
            for stored in await self._find(SearchQuery(target, (chain.inner,))):
                values[ReferenceValue(target, stored.id)] = None
                names = canonicals(msgspec.json.decode(stored.body))
                values.update({ReferenceValue(None, None, name): None for name in names})
        return Match(chain.name, "reference", tuple(values)) if values else NOTHING

    async def _named_by(self, type: str, has: Has) -> Match:
        """What is named by one that satisfies the inner criterion."""
        rows = [
            row
            for stored in await self._find(SearchQuery(has.type, (has.inner,)))
            for row in extract_parameter(msgspec.json.decode(stored.body), has.name).references
        ]
        ids = [row.id for row in rows if row.id is not None and row.type == type]
        urls = {row.url: None for row in rows if row.url is not None}
        asked = Match("url", "uri", tuple(UriValue(url) for url in urls))
        found = await self._find(SearchQuery(type, (asked,))) if urls else []
        return _by_ids(ids + [stored.id for stored in found if _is_meant(msgspec.json.decode(stored.body), rows)])


def _by_ids(ids: list[str]) -> Match:
    return Match("_id", "token", tuple(TokenValue(None, id_) for id_ in dict.fromkeys(ids)))


def _is_meant(resource: JsonObject, rows: list[ReferenceRow]) -> bool:
    own = canonicals(resource)
    return any(f"{row.url}{VERSIONLESS}{row.version or ''}" in own for row in rows)
