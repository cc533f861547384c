"""Chains and `_has` that HAPI does not go, or not as R4 means them: taken hop by hop.

It goes over a canonical URL only where the reference says type and id, understands no modifier behind `_has`, finds
nothing by a chain behind two of them, refuses one behind a `_has` that is chained to, and knows neither `:missing` nor
a value that has to be looked at behind a reference. What lies behind such a hop is found first, and asked for by its
id, or by its URL with its version or without one.
https://hl7.org/fhir/R4/search.html#chaining, https://hl7.org/fhir/R4/search.html#has
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeGuard

import msgspec

from fhir_facade.adapters.hapi.broad import is_broad
from fhir_facade.adapters.hapi.literals import bounds
from fhir_facade.adapters.hapi.moments import is_unsure
from fhir_facade.adapters.hapi.query import is_only_near_it, means_all
from fhir_facade.fhir.definitions.canonicals import VERSIONLESS, canonical_targets
from fhir_facade.fhir.definitions.occurrence import single_valued
from fhir_facade.fhir.extract import ReferenceRow, extract_parameter
from fhir_facade.fhir.match import canonicals
from fhir_facade.values import (
    AnyOf,
    Chain,
    Criterion,
    Has,
    JsonObject,
    Match,
    MissingValue,
    ReferenceValue,
    SearchQuery,
    SearchValue,
    StoredResource,
    TokenValue,
    UriValue,
)

Find = Callable[[SearchQuery], Awaitable[list[StoredResource]]]
"""All that a query finds; TooLarge for more than can be asked for."""

Group = tuple[Criterion, ...]
Groups = tuple[Group, ...]
NOTHING = Match("_id", "token", ())
"""What no resource satisfies: a list of ids without any."""


async def without_hard_hops(find: Find, query: SearchQuery) -> SearchQuery:
    """The same query with what its hops lead to in their place, of those that HAPI does not go."""
    filler = _Filler(find)
    if not any(filler.leads_on(query.type, own) for group in (query.criteria, *query.any_of) for own in group):
        return query
    criteria = await filler.group(query.type, query.criteria)
    return replace(query, criteria=criteria, any_of=await filler.groups(query.type, query.any_of))


class _Filler:
    def __init__(self, find: Find) -> None:
        self._find = find
        self._on_the_way: dict[tuple[str, int], tuple[Criterion, bool]] = {}
        """Each criterion is kept beside what is known of it, so that no other gets its identity."""

    def leads_on(self, type: str, criterion: Criterion) -> bool:
        """Whether there is such a hop on the way."""
        key = (type, id(criterion))
        if key not in self._on_the_way:
            self._on_the_way[key] = criterion, self._leads_on(type, criterion)
        return self._on_the_way[key][1]

    def _leads_on(self, type: str, criterion: Criterion) -> bool:
        match criterion:
            case Chain(name, targets, inner):
                by_url = bool(canonical_targets(type, name))
                return (
                    by_url
                    or not _is_said_behind_chain(inner)
                    or any(self.leads_on(target, inner) for target in targets)
                )
            case Has(source, name, inner):
                by_url = type in canonical_targets(source, name)
                return by_url or not _is_said_behind_has(source, inner) or self.leads_on(source, inner)
            case AnyOf(groups):
                return any(self.leads_on(type, own) for group in groups for own in group)
        return False

    async def groups(self, type: str, groups: Groups) -> Groups:
        return tuple([await self.group(type, group) for group in groups])

    async def group(self, type: str, criteria: Group) -> Group:
        """Criteria that hold together. Chains over a reference that occurs once speak of one record, so that whatever
        is said of it is looked for together: a limit that stands beside a chain too."""
        together: dict[tuple[str, str], list[Chain]] = defaultdict(list)
        found: list[Criterion] = []
        for own in criteria:
            if isinstance(own, Chain) and len(own.targets) == 1 and single_valued(type, own.name):
                together[own.name, own.targets[0]].append(own)
            else:
                found.append(await self._filled(type, own, criteria))
        for chains in together.values():
            if any(self.leads_on(type, chain) for chain in chains):
                found.append(await self._chain(type, chains[0], tuple(chain.inner for chain in chains)))
            else:
                found += chains
        return tuple(found)

    async def _filled(self, type: str, criterion: Criterion, beside: Group) -> Criterion:
        if not self.leads_on(type, criterion):
            return criterion
        match criterion:
            case Chain():
                return await self._chain(type, criterion, (criterion.inner,))
            case Has() if type in canonical_targets(criterion.type, criterion.name):
                return await self._named_by(type, criterion)
            case Has():
                ids = _by_ids([stored.id for stored in await self._referring(type, criterion, beside)])
                return replace(criterion, inner=ids) if ids.values else NOTHING
        assert isinstance(criterion, AnyOf), "nothing else leads on"
        return AnyOf(await self.groups(type, criterion.groups))

    async def _chain(self, type: str, chain: Chain, inner: Group) -> Match:
        """What refers, by id or by URL, to one of the targets that satisfy all inner criteria."""
        by_url = bool(canonical_targets(type, chain.name))
        values: dict[ReferenceValue, None] = {}
        for target in chain.targets:
            for stored in await self._find(SearchQuery(target, inner)):
                values[ReferenceValue(target, stored.id)] = None
                names = canonicals(msgspec.json.decode(stored.body)) if by_url else ()
                values.update({ReferenceValue(None, None, name): None for name in names})
        return Match(chain.name, "reference", tuple(values)) if values else NOTHING

    async def _referring(self, type: str, has: Has, beside: Group) -> list[StoredResource]:
        """What satisfies the inner criterion; of a record that is named by its id only what refers to that id."""
        ids = [value.code for own in beside if _is_by_id(own) for value in own.values if isinstance(value, TokenValue)]
        named = Match(has.name, "reference", tuple(ReferenceValue(type, id_) for id_ in ids))
        return await self._find(SearchQuery(has.type, (has.inner, named) if ids else (has.inner,)))

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


def is_said(inner: Criterion) -> bool:
    """Whether HAPI finds behind a reference what is meant, no more and no less; further hops are asked about apart."""
    match inner:
        case Chain() | Has():
            return True
        case Match(name, _, values, modifier):
            odd = (name, modifier) == ("_id", "not") or any(isinstance(value, MissingValue) for value in values)
            inexact = is_broad(inner) or is_only_near_it(inner) or any(is_unsure(value) for value in values)
            return not (odd or inexact or any(_is_range(value) for value in values))
    return False


def _is_said_behind_chain(inner: Criterion) -> bool:
    """No chain behind a `_has`."""
    return not isinstance(inner.inner, Chain) if isinstance(inner, Has) else is_said(inner)


def _is_said_behind_has(source: str, inner: Criterion) -> bool:
    """Neither a modifier, nor one of several types that a chain leads to from there, nor a chain behind another."""
    match inner:
        case Match():
            return inner.modifier is None and is_said(inner)
        case Has():
            return not isinstance(inner.inner, Chain)
        case Chain():
            return means_all(source, inner)
    return False


def _is_range(value: SearchValue) -> bool:
    """Two bounds could be met by two different values."""
    return not isinstance(value, MissingValue) and len(bounds(value)) > 1


def _is_by_id(criterion: Criterion) -> TypeGuard[Match]:
    return isinstance(criterion, Match) and (criterion.name, criterion.modifier) == ("_id", None)


def _by_ids(ids: list[str]) -> Match:
    return Match("_id", "token", tuple(TokenValue(None, id_) for id_ in dict.fromkeys(ids)))


def _is_meant(resource: JsonObject, rows: list[ReferenceRow]) -> bool:
    own = canonicals(resource)
    return any(f"{row.url}{VERSIONLESS}{row.version or ''}" in own for row in rows)
