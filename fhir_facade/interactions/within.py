"""A search as its caller may ask it: narrowed, and deaf to records of nobody that name a patient out of reach.

Such a record is hidden, yet no search can say so: who is named anywhere in it has no parameter. They are rare, so a
type of which one was ever written is marked before the write, and a chain over a marked type is answered in two steps,
the first of which finds what the caller may see. https://hl7.org/fhir/R4/search.html#chaining
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Final

from fhir_facade.access.check import Deny
from fhir_facade.access.compartment import type_rules
from fhir_facade.access.narrow import NOBODY
from fhir_facade.access.policy import Allow
from fhir_facade.access.searches import search_within
from fhir_facade.fhir.definitions.canonicals import is_canonical
from fhir_facade.interactions.call import Call, may_leave, sees_all
from fhir_facade.interactions.naming import OF_NOBODY, marked
from fhir_facade.values import (
    AnyOf,
    Chain,
    Criterion,
    Has,
    Include,
    Match,
    ReferenceValue,
    SearchQuery,
    StoredResource,
)

MOST: Final = 500
"""So many records may stand for a chain over a marked type; for more the caller searches that type first."""

Alternatives = tuple[Criterion, ...]
"""Criteria of which one has to hold."""


async def within(call: Call, query: SearchQuery, includes: Iterable[Include] = ()) -> SearchQuery | Deny:
    """The query as this caller may ask it. A single narrowing group is ANDed, so that the store sees a plain search."""
    if not all(type(criterion) is Match for criterion in query.criteria):
        spared = await _spared(call, query)
        if isinstance(spared, Deny):
            return spared
        query = spared
    limited = search_within(call.principal, query, includes, call.circle)
    if isinstance(limited, Deny) or len(limited.any_of) != 1:
        return limited
    own = tuple(criterion for criterion in limited.any_of[0] if criterion not in limited.criteria)
    return dataclasses.replace(limited, criteria=(*limited.criteria, *own), any_of=())


async def _spared(call: Call, query: SearchQuery) -> SearchQuery | Deny:
    """The query without a look into records that the caller may not see."""
    hops = {name for name in _hops(query.criteria) if type_rules()[name].type_class in OF_NOBODY}
    naming = await marked(call.ports, [name for name in hops if _hides(call, name)])
    if not naming:
        return query
    criteria: list[Criterion] = []
    for criterion in query.criteria:
        ways = await _ways(call, query.type, criterion, naming)
        if isinstance(ways, Deny):
            return ways
        criteria.append(ways[0] if len(ways) == 1 else AnyOf(tuple([(way,) for way in ways])))
    return dataclasses.replace(query, criteria=tuple(criteria))


def _hops(criteria: Iterable[Criterion]) -> Iterator[str]:
    """The types that criteria lead to."""
    for criterion in criteria:
        match criterion:
            case Chain(_, targets, inner):
                yield from targets
                yield from _hops((inner,))
            case Has(name, _, inner):
                yield name
                yield from _hops((inner,))
            case AnyOf(groups):
                yield from _hops(each for group in groups for each in group)


def _hides(call: Call, name: str) -> bool:
    """Whether something of the type may be hidden from the caller, who may search it at all."""
    rights = call.search_rights(name)
    return isinstance(rights, Allow) and not sees_all(rights.check)


async def _ways(call: Call, type: str, criterion: Criterion, naming: frozenset[str]) -> Alternatives | Deny:
    if naming.isdisjoint(_hops((criterion,))):
        return (criterion,)
    match criterion:
        case Chain():
            return await _chain(call, type, criterion, naming)
        case AnyOf(groups):
            return await _any_of(call, type, groups, naming)
    over = next(name for name in _hops((criterion,)) if name in naming)
    return Deny("forbidden", f"_has over {over} cannot be limited to what you may see: search {over} instead.")


async def _any_of(
    call: Call, type: str, groups: tuple[tuple[Criterion, ...], ...], naming: frozenset[str]
) -> Alternatives | Deny:
    found: list[tuple[Criterion, ...]] = []
    for group in groups:
        ways = [await _ways(call, type, criterion, naming) for criterion in group]
        refused = next((way for way in ways if isinstance(way, Deny)), None)
        if refused is not None:
            return refused
        found += product(*(way for way in ways if not isinstance(way, Deny)))
    return (AnyOf(tuple(found)),)


async def _chain(call: Call, type: str, chain: Chain, naming: frozenset[str]) -> Alternatives | Deny:
    """Targets that may not be searched drop out; none left is a refusal."""
    deeper = not naming.isdisjoint(_hops((chain.inner,)))
    alone = [name for name in chain.targets if deeper or name in naming]
    others = [name for name in chain.targets if name not in alone]
    together = tuple([name for name in others if not isinstance(call.search_rights(name), Deny)])
    parts = [(name,) for name in alone] + ([together] if together else [])
    each = [await _target(call, type, dataclasses.replace(chain, targets=part), naming) for part in parts]
    found = tuple(way for ways in each if not isinstance(ways, Deny) for way in ways)
    return found or next(ways for ways in each if isinstance(ways, Deny))


async def _target(call: Call, type: str, chain: Chain, naming: frozenset[str]) -> Alternatives | Deny:
    """A chain to one target, or to several that hide nothing."""
    (target, *others), inner = chain.targets, chain.inner
    if not others and target in naming:
        return await _found_first(call, type, chain.name, SearchQuery(target, (inner,)))
    ways = (inner,) if others else await _ways(call, target, inner, naming)
    return ways if isinstance(ways, Deny) else tuple([dataclasses.replace(chain, inner=way) for way in ways])


async def _found_first(call: Call, type: str, name: str, query: SearchQuery) -> Alternatives | Deny:
    """The chain as references to what the caller may see. How many there are is said of these alone."""
    if is_canonical(type, name):
        return Deny(
            "forbidden", f"A chain over {name} cannot be limited to what you may see: search {query.type} first."
        )
    found = await _visible(call, query)
    if isinstance(found, Deny):
        return found
    if len(found) > MOST:
        return Deny(
            "forbidden", f"More than {MOST} {query.type} fit: search {query.type} first, and ask with their ids."
        )
    values = tuple([ReferenceValue(stored.type, stored.id) for stored in found])
    return (Match(name, "reference", values),) if values else NOBODY


async def _visible(call: Call, query: SearchQuery) -> list[StoredResource] | Deny:
    rights, limited = call.search_rights(query.type), await within(call, query)
    if isinstance(rights, Deny):
        return rights
    if isinstance(limited, Deny):
        return limited
    found: list[StoredResource] = []
    step = dataclasses.replace(limited, count=MOST)
    while True:
        page = await call.ports.store.search(step)
        found += [stored for stored in page.entries if may_leave(rights.check, stored)]
        if page.cursor is None or len(found) > MOST:
            return found
        step = dataclasses.replace(step, cursor=page.cursor)
